// Pictures drawn to the width they have: cost against quality, agreement of rows, days in space.
const COSTS = {seconds: 'seconds of a fit', peak_rss_mib: 'peak memory, MiB', n_parameters: 'trainable parameters'};
// Each begins at the middle of the symbol, and all its commands are relative.
const SHAPES = [
  r => `m${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  r => `m${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
  r => `m0 ${-1.3 * r}l${1.2 * r} ${2.2 * r}h${-2.4 * r}z`,
  r => `m0 ${-1.4 * r}l${1.4 * r} ${1.4 * r}l${-1.4 * r} ${1.4 * r}l${-1.4 * r} ${-1.4 * r}z`,
  r => `m0 ${1.3 * r}l${1.2 * r} ${-2.2 * r}h${-2.4 * r}z`,
  r => `m${-1.3 * r} ${-0.5 * r}h${0.8 * r}v${-0.8 * r}h${r}v${0.8 * r}h${0.8 * r}v${r}h${-0.8 * r}v${0.8 * r}h${-r}v${-0.8 * r}h${-0.8 * r}z`,
];
const shape = (i, r, x = 0, y = 0) => `M${x} ${y}${SHAPES[i % SHAPES.length](r)}`;

function drawCost(place, dataset, metric, state) {
  const before = place.querySelector('select')?.value;
  const offered = Object.keys(COSTS).filter(name => dataset.rows.some(row => row.cost[name] > 0));
  if (!offered.length) {
    place.replaceChildren(make('p', {}, 'No run has a cost.'));
    return;
  }
  const choice = make('select', {}, ...offered.map(name => make('option', {value: name}, COSTS[name])));
  choice.value = offered.includes(before) ? before : offered[0];
  choice.addEventListener('change', () => drawCost(place, dataset, metric, state));
  const points = summarised(dataset, metric, state).map(each => ({...each, cost: each.row.cost[choice.value]}))
    .filter(each => each.cost > 0 && each.median !== null);
  place.replaceChildren(make('p', {class: 'pick'}, make('label', {}, 'Cost ', choice)),
    points.length ? costPlot(place, points, metric, COSTS[choice.value]) : make('p', {}, 'No row that is shown has both.'));
}

function costPlot(place, points, metric, costTitle) {
  const width = Math.max(300, Math.min(place.clientWidth || 720, 900));
  const height = Math.round(Math.min(440, width * 0.72));
  const box = {left: 56, right: width - 14, top: 26, bottom: height - 40};
  const costs = points.map(p => Math.log10(p.cost));
  let [low, high] = [Math.min(...costs), Math.max(...costs)];
  if (high - low < 0.3) [low, high] = [low - 0.3, high + 0.3];
  const scale = scaleOf(points.flatMap(p => [p.q1, p.q3]));
  const x = cost => box.left + 10 + (box.right - box.left - 60) * (Math.log10(cost) - low) / (high - low);
  const y = value => box.bottom - (box.bottom - box.top) * scale.at(value) / 100;
  const svg = make('svg:svg', {class: 'chart', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img',
    'aria-label': `${metric.title} against ${costTitle}, ${points.length} rows; the numbers stand in the comparison and the tables`});
  const text = (at, top, words, anchor, kind = '') => make('svg:text', {x: at, y: top, 'text-anchor': anchor, class: kind}, words);
  for (let e = Math.ceil(low); e <= Math.floor(high + 1e-9); e++) {
    const at = x(10 ** e);
    svg.append(make('svg:line', {class: 'grid', x1: at, x2: at, y1: box.top, y2: box.bottom}),
      text(at, box.bottom + 15, (10 ** e).toLocaleString('en', {maximumFractionDigits: 4}), 'middle'));
  }
  for (const value of ticks(scale.low, scale.high, 5)) {
    svg.append(make('svg:line', {class: 'grid', x1: box.left, x2: box.right, y1: y(value), y2: y(value)}),
      text(box.left - 6, y(value) + 4, tickText(value), 'end'));
  }
  svg.append(text(box.right, height - 6, `${costTitle} (logarithmic) →`, 'end', 'title'),
    text(4, 14, `${metric.title}, ${metric.higher ? 'higher' : 'lower'} is better`, 'start', 'title'));
  const best = front(points, metric.higher);
  if (best.length > 1) svg.append(make('svg:path', {class: 'front', d: 'M' + best.map(p => `${x(p.cost)} ${y(p.median)}`).join('L')}));
  const taken = points.map(p => ({left: x(p.cost) - 5, right: x(p.cost) + 5, top: y(p.median) - 5, bottom: y(p.median) + 5}));
  for (const p of points) {
    if (p.values.length > 1) svg.append(make('svg:line', {class: 'whisker', x1: x(p.cost), x2: x(p.cost), y1: y(p.q1), y2: y(p.q3)}));
    const words = `${p.row.address}: ${shown(p.median, scale.span)}, ${p.cost.toLocaleString('en', {maximumSignificantDigits: 3})}`;
    svg.append(make('svg:path', {class: `point ${p.row.kind}`, transform: `translate(${x(p.cost)} ${y(p.median)})`,
      d: shape(['method', 'control', 'twin'].indexOf(p.row.kind), 4.5)}, make('svg:title', {}, words)));
  }
  for (const p of [...best, ...points.filter(each => !best.includes(each))]) {
    const spot = free(x(p.cost), y(p.median), p.row.address.length * 6.4 + 4, width, box, taken);
    if (spot) svg.append(text(spot.x, spot.y, p.row.address, spot.anchor, best.includes(p) ? 'name best' : 'name'));
  }
  return make('figure', {class: 'picture'}, svg,
    make('figcaption', {class: 'notes'}, 'Circles: methods; squares: controls; triangles: twins. The whisker spans the quartiles. Names are left out where they would overlap; the table above has them all.'));
}

// Rows that no other row beats in both cost and quality, from the cheapest on.
function front(points, higher) {
  const better = (a, b) => higher ? a > b : a < b;
  const found = [];
  for (const p of [...points].sort((a, b) => a.cost - b.cost || (higher ? b.median - a.median : a.median - b.median))) {
    if (p.row.kind !== 'twin' && (!found.length || better(p.median, found.at(-1).median))) found.push(p);
  }
  return found;
}

// A place for a name beside a point that overlaps nothing drawn so far.
function free(x, y, size, width, box, taken) {
  const options = [[x + 8, y + 4, 'start'], [x - 8, y + 4, 'end'], [x, y - 9, 'middle'], [x, y + 17, 'middle'], [x + 8, y - 8, 'start'], [x + 8, y + 16, 'start']];
  for (const [at, base, anchor] of options) {
    const left = anchor === 'start' ? at : anchor === 'end' ? at - size : at - size / 2;
    const area = {left, right: left + size, top: base - 10, bottom: base + 3};
    const inside = area.left > box.left && area.right < width && area.top > box.top - 8 && area.bottom < box.bottom + 2;
    if (inside && !taken.some(o => o.left < area.right && area.left < o.right && o.top < area.bottom && area.top < o.bottom)) {
      taken.push(area);
      return {x: at, y: base, anchor};
    }
  }
  return null;
}

function drawAgreement(place, dataset, metric, state) {
  const {rows, ari} = dataset.agreement;
  const chosen = rows.map((name, i) => i).filter(i => wanted(dataset.id, rows[i], state));
  if (!chosen.length) {
    place.replaceChildren(make('p', {}, 'No row that is shown has labels.'));
    return;
  }
  const head = make('tr', {}, make('td'), ...chosen.map(i => make('th', {scope: 'col', class: 'steep'}, make('span', {}, rows[i]))));
  const body = make('tbody', {}, ...chosen.map(i => make('tr', {}, make('th', {scope: 'row'}, ...breakable(rows[i])), ...chosen.map(j => {
    const value = ari[i][j];
    const text = value === null ? '1 run' : value.toFixed(2).replace('-', '\u2212');
    return make('td', {class: i === j ? 'own' : '', style: value === null ? null : heat(Math.max(0, value)), title: `${rows[i]} and ${rows[j]}`}, text);
  }))));
  const table = make('table', {class: 'agreement', 'data-name': `${dataset.title}: agreement`}, make('thead', {}, head), body);
  place.replaceChildren(scrolling('Agreement of rows', table));
  addDownload(table);
}

function drawSpace(place, dataset) {
  if (!dataset.space) return;
  const names = Object.keys(dataset.space.labels);
  const before = place.querySelector('select')?.value;
  const choice = make('select', {}, ...names.map(name => make('option', {value: name}, name)));
  choice.value = names.includes(before) ? before : names[0];
  choice.addEventListener('change', () => drawSpace(place, dataset));
  const labels = [...dataset.space.labels[choice.value]].map(c => c.codePointAt(0) - 65);
  const own = dataset.space.own[choice.value];
  const [first, second] = dataset.space.shares;
  const pictures = [
    scatter(dataset.space.tsne, labels, 't-SNE of the input space', 'of the first 50 principal components, perplexity 30'),
    scatter(dataset.space.pca, labels, 'PCA of the input space', `first two components, ${first} % and ${second} % of the variance`),
    own ? scatter(own.points, labels, `${choice.value}: its own embedding`, `an extra, not the space of the scores: PCA of ${own.dimensions} dimensions, ${own.shares.join(' % and ')} % of their variance`) : null,
  ];
  const regimes = [...new Set(labels)].sort((a, b) => a - b);
  const legend = regimes.map(i => make('span', {}, glyph(i), String(i + 1)));
  place.replaceChildren(make('p', {class: 'pick'}, make('label', {}, 'Row ', choice)), make('p', {class: 'legend'}, ...legend),
    make('div', {class: 'spaces'}, ...pictures.filter(Boolean)));
}

function glyph(cluster) {
  return make('svg:svg', {class: 'glyph', viewBox: '-6 -6 12 12', width: 12, height: 12, 'aria-hidden': true},
    make('svg:path', {d: shape(cluster, 4), fill: CLUSTERS[cluster % CLUSTERS.length]}));
}

function scatter(points, labels, title, about) {
  if (!points) return null;
  const svg = make('svg:svg', {viewBox: '-20 -20 1040 1040', role: 'img', class: 'scatter',
    'aria-label': `${title}, ${about}: ${labels.length} days, coloured and shaped by regime`});
  const paths = new Map();
  labels.forEach((label, day) => {
    paths.set(label, (paths.get(label) ?? '') + shape(label, 9, points[2 * day], 1000 - points[2 * day + 1]));
  });
  for (const [label, d] of [...paths].sort((a, b) => a[0] - b[0])) {
    svg.append(make('svg:path', {d, fill: CLUSTERS[label % CLUSTERS.length]}));
  }
  return make('figure', {}, make('figcaption', {}, make('strong', {}, title), make('span', {class: 'quiet'}, ` ${about}`)), svg);
}
