// The page's state and its controls; the parts of a data set are drawn when it is first shown, or before printing.
const VIEWS = {board: drawBoard, seeds: drawSeeds, pairs: drawPairs, cost: drawCost, agreement: drawAgreement, space: drawSpace};
const state = {dataset: DATA.datasets[0].id, metric: DATA.first, filter: '', controls: true, variants: true, twins: true};
const sections = new Map([...document.querySelectorAll('section.dataset')].map(section => [section.dataset.id, section]));
const datasets = new Map(DATA.datasets.map(dataset => [dataset.id, dataset]));
let printing = false;

function say(text) {
  byId('status').textContent = text;
}

function metricOf(dataset) {
  return dataset.metrics.find(metric => metric.key === state.metric) ?? dataset.metrics[0];
}

function draw(id) {
  const dataset = datasets.get(id);
  const section = sections.get(id);
  const metric = metricOf(dataset);
  for (const name of section.querySelectorAll('.metric-name')) {
    name.textContent = `${metric.title} (protocol ${metric.protocol}; ${metric.higher ? 'higher' : 'lower'} is better).`;
  }
  for (const place of section.querySelectorAll('[data-view]')) VIEWS[place.dataset.view](place, dataset, metric, state);
  filterRows(section, state);
}

function offerMetrics(dataset) {
  const select = byId('metric');
  const names = {standard: 'standard: formulas', paper: 'paper: authors\u2019 code', truth: 'truth: planted labels'};
  const groups = Object.keys(names).map(protocol => make('optgroup', {label: names[protocol]},
    ...dataset.metrics.filter(metric => metric.protocol === protocol).map(metric => make('option', {value: metric.key}, metric.title))));
  select.replaceChildren(...groups.filter(group => group.children.length));
  state.metric = metricOf(dataset).key;
  select.value = state.metric;
}

function offerParts(section) {
  const parts = [...section.querySelectorAll('h3[id]')].map(head => make('option', {value: head.id}, head.textContent));
  byId('jump').replaceChildren(make('option', {value: ''}, 'Go to …'), ...parts);
}

function show(id) {
  state.dataset = id;
  for (const [name, section] of sections) section.classList.toggle('away', name !== id);
  byId('dataset').value = id;
  offerMetrics(datasets.get(id));
  offerParts(sections.get(id));
  draw(id);
}

function listen() {
  byId('bar').addEventListener('submit', event => event.preventDefault());
  byId('dataset').addEventListener('change', event => {
    show(event.target.value);
    say(`Data set ${datasets.get(state.dataset).title}`);
  });
  byId('metric').addEventListener('change', event => {
    state.metric = event.target.value;
    draw(state.dataset);
    say(`Metric ${metricOf(datasets.get(state.dataset)).title}`);
  });
  let waiting = 0;
  byId('filter').addEventListener('input', event => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      state.filter = event.target.value.trim().toLowerCase();
      draw(state.dataset);
      const rows = datasets.get(state.dataset).rows;
      say(`${rows.filter(row => wanted(state.dataset, row.address, state)).length} of ${rows.length} rows shown`);
    }, 120);
  });
  for (const name of ['controls', 'variants', 'twins']) {
    byId(name).addEventListener('change', event => {
      state[name] = event.target.checked;
      draw(state.dataset);
    });
  }
  byId('jump').addEventListener('change', event => {
    const head = byId(event.target.value);
    if (!head) return;
    head.setAttribute('tabindex', '-1');
    head.scrollIntoView();
    head.focus({preventScroll: true});
    event.target.value = '';
  });
  for (const link of document.querySelectorAll('a[data-dataset]')) {
    link.addEventListener('click', () => show(link.dataset.dataset));
  }
  for (const button of document.querySelectorAll('button[data-file]')) {
    button.addEventListener('click', () => {
      const section = button.closest('section.dataset').dataset.id;
      download(button.dataset.file, datasets.get(section).files[button.dataset.file]);
    });
  }
  for (const button of document.querySelectorAll('button[data-runs]')) {
    button.addEventListener('click', () => download(`${button.dataset.runs}.runs.csv`, csv(runsTable(datasets.get(button.dataset.runs)))));
  }
  for (const select of document.querySelectorAll('.portrait-choice')) {
    const place = select.closest('section');
    const pick = () => {
      for (const each of place.querySelectorAll('.portrait')) each.classList.toggle('away', each.dataset.address !== select.value);
    };
    select.addEventListener('change', pick);
    pick();
  }
}

function theme() {
  const button = byId('theme');
  const dark = () => (document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const label = () => {
    button.textContent = dark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Switch to ${dark() ? 'light' : 'dark'} colours`);
  };
  button.hidden = false;
  button.addEventListener('click', () => {
    document.documentElement.dataset.theme = dark() ? 'light' : 'dark';
    label();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', label);
  label();
}

// Paper shows every data set, all rows, with the metric that is chosen.
function print() {
  if (printing) return;
  printing = true;
  for (const id of datasets.keys()) draw(id);
  for (const each of document.querySelectorAll('details:not([data-row])')) each.open = true;
}

for (const table of document.querySelectorAll('.fragment table')) {
  table.dataset.name = table.caption?.textContent.split('. ')[0] ?? 'table';
  const place = make('div');
  table.before(place);
  place.append(scrolling(table.dataset.name, table));
  addDownload(table);
}
for (const table of document.querySelectorAll('table.data')) prepare(table);
theme();
listen();
byId('bar').hidden = false;
show(datasets.has(location.hash.slice(1)) ? location.hash.slice(1) : state.dataset);
let width = innerWidth;
addEventListener('resize', () => {
  if (innerWidth === width || printing) return;
  width = innerWidth;
  draw(state.dataset);
});
addEventListener('beforeprint', print);
addEventListener('afterprint', () => { printing = false; });
document.documentElement.dataset.ready = 'yes';
