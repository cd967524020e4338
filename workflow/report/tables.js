// Tables: every header sorts, every table can be downloaded, rows of methods are filtered by name and kind.
const KINDS = Object.fromEntries(DATA.datasets.map(d => [d.id, Object.fromEntries(d.rows.map(r => [r.address, r]))]));

function sortKey(cell) {
  const text = (cell.dataset.value ?? cell.textContent).trim();
  if (text === '' || text === MISSING) return null;
  const found = text.replaceAll('\u2212', '-').replaceAll(',', '').match(/^[<>≈+]?\s*(-?\d+(\.\d+)?(e[-+]?\d+)?)/i);
  return found ? Number(found[1]) : text.toLowerCase();
}

// What has no value stands last in both directions.
function compareKeys(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === typeof b) return sign * (typeof a === 'number' ? a - b : a.localeCompare(b, 'en', {numeric: true}));
  return sign * (typeof a === 'number' ? -1 : 1);
}

function sortBy(table, column, direction) {
  const sign = direction === 'ascending' ? 1 : -1;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row, i) => ({row, i, key: sortKey(row.cells[column])}));
  rows.sort((a, b) => compareKeys(a.key, b.key, sign) || a.i - b.i);
  body.append(...rows.map(each => each.row));
  for (const [i, head] of [...table.tHead.rows[0].cells].entries()) {
    if (i === column) head.setAttribute('aria-sort', direction);
    else head.removeAttribute('aria-sort');
  }
}

function makeSortable(table) {
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    if (head.dataset.fixed !== undefined) continue;
    const button = make('button', {type: 'button', class: 'sort'});
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const first = head.dataset.first ?? (column === 0 ? 'ascending' : head.textContent.includes('↑') ? 'descending' : 'ascending');
      const other = first === 'ascending' ? 'descending' : 'ascending';
      const direction = head.getAttribute('aria-sort') === first ? other : first;
      sortBy(table, column, direction);
      say(`Sorted by ${head.textContent.trim()}, ${direction}`);
    });
  }
}

const cellText = cell => (cell.dataset.value ?? cell.textContent).trim().replaceAll('\u2212', '-');

function addDownload(table) {
  const name = (table.dataset.name || 'table').toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, '');
  const button = make('button', {type: 'button', class: 'link csv', 'aria-label': `Download as CSV: ${table.dataset.name}`}, 'CSV');
  button.addEventListener('click', () => download(`${name}.csv`, csv([...table.rows].map(row => [...row.cells].map(cellText)))));
  table.closest('.scroll').after(make('p', {class: 'under'}, button));
}

function prepare(table) {
  makeSortable(table);
  addDownload(table);
}

// Whether the reader wants to see a row.
function wanted(dataset, address, state) {
  const row = KINDS[dataset][address];
  if (!row) return true; // planted truth, and tables whose lines are no rows of the benchmark
  const name = address.toLowerCase();
  if (state.filter && !state.filter.split(/[\s,]+/).filter(Boolean).some(part => name.includes(part))) return false;
  if (row.kind === 'twin') return state.twins;
  if (row.kind === 'control') return state.controls;
  return state.variants || !row.variant;
}

function filterRows(section, state) {
  for (const each of section.querySelectorAll('[data-row]')) {
    each.hidden = !wanted(section.dataset.id, each.dataset.row, state);
  }
}

// All runs of a data set, one line each, one column per metric.
function runsTable(dataset) {
  const head = ['address', 'seed', 'status', ...dataset.metrics.map(m => m.key)];
  const lines = dataset.rows.flatMap(row => row.seeds.map((seed, i) =>
    [row.address, seed, row.status[i], ...dataset.metrics.map(m => row.scores[m.key]?.[i] ?? null)]));
  return [head, ...lines];
}
