// The comparison (one line per row: numbers, runs, marks, cost) and the view of single seeds.
function summarised(dataset, metric, state) {
  const rows = dataset.rows.filter(row => wanted(dataset.id, row.address, state)).map(row => {
    const values = known(row.scores[metric.key] ?? []);
    return {row, values, median: median(values), q1: values.length ? quantile(values, 0.25) : null,
      q3: values.length ? quantile(values, 0.75) : null};
  });
  const sign = metric.higher ? -1 : 1;
  return rows.sort((a, b) => (a.row.kind === 'twin') - (b.row.kind === 'twin') || compareKeys(a.median, b.median, sign));
}

function bestControl(dataset, metric) {
  const medians = dataset.rows.filter(r => r.kind === 'control').map(r => median(known(r.scores[metric.key] ?? [])));
  const found = known(medians);
  return found.length ? (metric.higher ? Math.max : Math.min)(...found) : null;
}

function scaleOf(values) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
  const pad = (high - low) * 0.04;
  return {low: low - pad, high: high + pad, span: high - low, at: v => 100 * (v - low + pad) / (high - low + 2 * pad)};
}

const percent = value => `${value.toFixed(2)}%`;

function stripPlot(each, scale, control, references, told) {
  const text = each.values.map(v => shown(v, scale.span)).join(', ');
  const svg = make('svg:svg', {class: 'runs', role: 'img', width: '100%', height: 24,
    'aria-label': `${each.values.length} runs of ${each.row.address}: ${text || 'none'}`});
  for (const at of ticks(scale.low, scale.high, innerWidth < 640 ? 2 : 4)) svg.append(line(scale.at(at), 0, 24, 'grid'));
  for (const value of known(Object.values(references))) svg.append(line(scale.at(value), 0, 24, 'truth'));
  if (control !== null) svg.append(line(scale.at(control), 0, 24, 'control'));
  if (each.values.length > 1) {
    const left = scale.at(each.q1);
    svg.append(make('svg:rect', {class: 'quartiles', x: percent(left), y: 8, height: 8, rx: 1,
      width: percent(Math.max(0.2, scale.at(each.q3) - left))}));
  }
  each.values.forEach((value, i) => svg.append(make('svg:circle', {class: `run ${each.row.kind}`, cx: percent(scale.at(value)),
    cy: each.values.length > 1 ? 12 + 5 * Math.sin(i * 2.4) : 12, r: 3})));
  const [, low, high] = told?.iqm ?? [null, null, null];
  if (low !== null) svg.append(make('svg:line', {class: 'interval', x1: percent(scale.at(low)), x2: percent(scale.at(high)), y1: 21.5, y2: 21.5}));
  if (told?.shifted !== null && told?.shifted !== undefined) svg.append(line(scale.at(told.shifted), 7, 17, 'shifted'));
  if (each.median !== null && each.values.length > 1) svg.append(line(scale.at(each.median), 3, 21, 'median'));
  return svg;
}

function line(at, y1, y2, kind) {
  return make('svg:line', {class: kind, x1: percent(at), x2: percent(at), y1, y2});
}

function axis(scale) {
  const svg = make('svg:svg', {class: 'axis', width: '100%', height: 18, 'aria-hidden': true});
  for (const at of ticks(scale.low, scale.high, innerWidth < 640 ? 2 : 4)) {
    const x = scale.at(at);
    const anchor = x < 8 ? 'start' : x > 92 ? 'end' : 'middle';
    svg.append(make('svg:text', {x: percent(x), y: 13, 'text-anchor': anchor}, tickText(at)));
  }
  return svg;
}

function badges(row) {
  const kind = {control: 'control', twin: 'twin'}[row.kind];
  const parts = [kind, row.deterministic ? 'one run' : null, row.fidelity === 'reconstructed' ? 'reconstructed' : null];
  return known(parts).filter(Boolean).map(text => make('span', {class: `badge ${text === kind ? kind : ''}`}, text));
}

function nameCell(row) {
  return make('th', {scope: 'row', title: row.title, 'data-value': row.address}, make('span', {class: 'name'}, ...breakable(row.address)), ...badges(row));
}

function headCell(text, attributes = {}) {
  return make('th', {scope: 'col', ...attributes}, text);
}

function costText(row) {
  const seconds = row.cost.seconds;
  return seconds === null ? MISSING : seconds < 0.01 ? '<0.01' : seconds < 10 ? seconds.toFixed(2) : seconds < 1000 ? seconds.toFixed(0) : seconds.toLocaleString('en', {maximumFractionDigits: 0});
}

function drawBoard(place, dataset, metric, state) {
  const rows = summarised(dataset, metric, state);
  const references = Object.fromEntries(Object.entries(dataset.references).map(([name, scores]) => [name, scores[metric.key]]));
  const control = bestControl(dataset, metric);
  const shifted = rows.map(each => study[each.row.address]?.shifted);
  const values = [...rows.flatMap(each => each.values), ...known(shifted), ...known(Object.values(references)), ...known([control])];
  if (!values.length) {
    place.replaceChildren(make('p', {}, 'No run that is shown has a score in this metric.'));
    return;
  }
  const scale = scaleOf(values);
  const study = dataset.statistics[metric.key]?.rows ?? {};
  const columns = [headCell('row'), headCell('runs', {class: 'wide', 'data-first': 'descending'}),
    headCell('median'), headCell('quartiles', {class: 'wide'}), headCell('', {class: 'plot', 'data-fixed': ''}),
    headCell('letters', {class: 'letters'}), headCell('ranks', {class: 'wide'}), headCell('marks'), headCell('seconds', {class: 'wide'})];
  columns[4].append(axis(scale));
  const body = make('tbody');
  for (const each of rows) {
    const {row} = each;
    const box = each.values.length > 1 ? `${shown(each.q1, scale.span)} to ${shown(each.q3, scale.span)}` : MISSING;
    body.append(make('tr', {class: row.kind, 'data-address': row.address},
      nameCell(row),
      make('td', {class: 'wide', 'data-value': row.status.filter(s => s === 'ok').length}, row.runs.replace(/ ok$/, '')),
      make('td', {class: 'value', 'data-value': each.median}, shown(each.median, scale.span), each.row.barred ? ' *' : ''),
      make('td', {class: 'wide quiet', 'data-value': each.q1}, box),
      make('td', {class: 'plot'}, stripPlot(each, scale, control, references, study[row.address])),
      make('td', {class: 'letters'}, study[row.address]?.letters ?? MISSING),
      make('td', {class: 'wide quiet'}, rankText(study[row.address]?.ranks)),
      make('td', {class: 'marks', title: row.meanings.join('; ')}, row.marks.join(' ') || MISSING),
      make('td', {class: 'wide', 'data-value': row.cost.seconds}, costText(row))));
  }
  const table = make('table', {class: 'data compare', 'data-name': `${dataset.title}: comparison by ${metric.title}`},
    make('thead', {}, make('tr', {}, ...columns)), body);
  place.replaceChildren(scrolling('Comparison', table), make('ul', {class: 'notes'}, ...boardNotes(dataset, rows, references, scale, known(shifted).length > 0)));
  prepare(table);
  table.tHead.rows[0].cells[2].dataset.first = metric.higher ? 'descending' : 'ascending';
  table.tHead.rows[0].cells[2].setAttribute('aria-sort', metric.higher ? 'descending' : 'ascending');
}

function rankText(ranks) {
  if (!ranks || ranks[0] === null) return MISSING;
  return ranks[0] === ranks[1] ? String(ranks[0]) : `${ranks[0]}–${ranks[1]}`;
}

function boardNotes(dataset, rows, references, scale, shifted) {
  const notes = ['Rows that share a letter are not told apart at 5 % (Holm\u2019s correction over all pairs). Ranks: those that are possible, for all rows at once with 95 % confidence; failed runs count as the worst. The thin line below the dots is the 95 % interval of the interquartile mean. Twins take no part.'];
  if (shifted) notes.push('Green tick: what the same labels score when they are shifted in time, exceeded by 5 % of the shifts. A row that does not pass its tick shows no more than sizes and persistence.');
  for (const [name, value] of Object.entries(references)) {
    if (value !== null && value !== undefined) notes.push(`Dotted line: ${name.replace(/[()]/g, '')}, ${shown(value, scale.span)}.`);
  }
  if (rows.some(each => each.row.barred)) notes.push('* not marked best: fewer than half of the runs are ok, or fewer clusters than asked.');
  const marks = new Map(rows.flatMap(each => each.row.marks.map((mark, i) => [mark, each.row.meanings[i]])));
  if (marks.size) notes.push(`Marks: ${[...marks].map(([mark, meaning]) => `${mark}: ${meaning}`).join('; ')}.`);
  return notes.map(text => make('li', {}, text));
}

// Every row against every other: the probability that a run of the row scores better than one of the column.
function drawPairs(place, dataset, metric, state) {
  const study = dataset.statistics[metric.key];
  const names = Object.keys(study.rows);
  const shares = new Map();
  let at = 0;
  for (let i = 0; i < names.length; i++) {
    for (let j = i + 1; j < names.length; j++, at++) {
      const share = study.better[at];
      shares.set(`${names[i]} ${names[j]}`, [share, study.apart[at] === '1']);
      shares.set(`${names[j]} ${names[i]}`, [share === null ? null : 100 - share, study.apart[at] === '1']);
    }
  }
  const rows = summarised(dataset, metric, state).map(each => each.row.address).filter(name => study.rows[name]?.letters);
  if (rows.length < 2) {
    place.replaceChildren(make('p', {}, 'Fewer than two rows that are shown can be compared.'));
    return;
  }
  const body = make('tbody', {}, ...rows.map(a => make('tr', {}, make('th', {scope: 'row'}, ...breakable(a)), ...rows.map(b => {
    if (a === b) return make('td', {class: 'none'});
    const [share, apart] = shares.get(`${a} ${b}`);
    if (share === null) return make('td', {}, MISSING);
    const depth = Math.round(Math.abs(share - 50) * 1.3);
    const side = share > 50 ? 'win' : 'loss';
    return make('td', {class: apart ? `apart ${side}` : side, style: `--d:${depth}%`, title: `${a} against ${b}`}, `${share}${apart ? '*' : ''}`);
  }))));
  const head = make('tr', {}, make('td'), ...rows.map(name => make('th', {scope: 'col', class: 'steep'}, make('span', {}, name))));
  const table = make('table', {class: 'agreement pairs', 'data-name': `${dataset.title}: pairs by ${metric.title}`}, make('thead', {}, head), body);
  place.replaceChildren(scrolling('Pairs of rows', table), make('p', {class: 'notes'}, '* told apart at 5 % (Holm\u2019s correction over all pairs). 50 means no difference.'));
  addDownload(table);
}

function drawSeeds(place, dataset, metric, state) {
  const rows = summarised(dataset, metric, state);
  const seeds = [...new Set(rows.flatMap(each => each.row.seeds))].sort((a, b) => a - b);
  const values = rows.flatMap(each => each.values);
  if (!values.length) {
    place.replaceChildren(make('p', {}, 'No run that is shown has a score in this metric.'));
    return;
  }
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const body = make('tbody');
  for (const {row} of rows) {
    const cells = seeds.map(seed => {
      const i = row.seeds.indexOf(seed);
      if (i < 0) return make('td', {class: 'none'});
      const value = row.scores[metric.key]?.[i] ?? null;
      if (value === null) return make('td', {class: 'lost', 'data-value': row.status[i]}, row.status[i] === 'ok' ? MISSING : row.status[i]);
      const share = high > low ? (value - low) / (high - low) : 0.5;
      return make('td', {class: 'cell', style: heat(metric.higher ? share : 1 - share)}, shown(value, high - low));
    });
    body.append(make('tr', {}, nameCell(row), ...cells));
  }
  const table = make('table', {class: 'data seeds', 'data-name': `${dataset.title}: seeds by ${metric.title}`},
    make('thead', {}, make('tr', {}, headCell('row'), ...seeds.map(seed => headCell(String(seed), {'data-first': metric.higher ? 'descending' : 'ascending'})))), body);
  place.replaceChildren(scrolling('Seed by seed', table), make('p', {class: 'notes'}, 'Yellow is best and violet worst among the runs shown; hatched runs have no score.'));
  prepare(table);
}
