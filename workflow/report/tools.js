// Small helpers that all parts use.
const DATA = JSON.parse(document.getElementById('data').textContent);
const SVG = 'http://www.w3.org/2000/svg';
const MISSING = '–';
const VIRIDIS = ['#440154', '#472d7b', '#3b528b', '#2c728e', '#21918c', '#28ae80', '#5ec962', '#addc30', '#fde725'];
const CLUSTERS = ['#0072b2', '#e69f00', '#009e73', '#d55e00', '#56b4e9', '#cc79a7', '#f0e442', '#8c8c8c',
  '#003f63', '#8a5f00', '#005c43', '#7f3800', '#2f6f93', '#7c4766', '#8f8828', '#4d4d4d'];

const byId = id => document.getElementById(id);
const known = values => values.filter(v => v !== null && v !== undefined);

function make(name, attributes = {}, ...children) {
  const node = name.startsWith('svg:') ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

const median = values => values.length ? quantile(values, 0.5) : null;

// A number with `digits` decimals chosen by the span of what stands beside it.
function shown(value, span) {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  const digits = span > 0 ? Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(span)))) : 3;
  return value.toFixed(digits).replace('-', '\u2212');
}

// Round values inside a range, at most `most` of them.
function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function tickText(value) {
  const size = Math.abs(value);
  return (size >= 1e5 || (size < 1e-3 && size > 0) ? value.toExponential(0) : String(value)).replace('-', '\u2212');
}

function mixed(stops, share) {
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(at));
  const part = at - low;
  return [1, 3, 5].map(i => {
    const [a, b] = [stops[low], stops[low + 1]].map(hex => parseInt(hex.slice(i, i + 2), 16));
    return Math.round(a + (b - a) * part);
  });
}

// Background of a share of the viridis scale, with the text colour that can be read on it.
function heat(share) {
  const rgb = mixed(VIRIDIS, share);
  const light = rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2];
  return `background:rgb(${rgb.join(',')});color:${luminance > 0.18 ? '#000' : '#fff'}`;
}

// A name that may be broken after a slash or underscore where space is short.
function breakable(name) {
  return name.split(/(?<=[/_])/).flatMap(part => [part, make('wbr')]);
}

function csv(rows) {
  const quoted = value => {
    const text = value === null || value === undefined ? '' : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map(row => row.map(quoted).join(',')).join('\n') + '\n';
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], {type: 'text/csv;charset=utf-8'}));
  const link = make('a', {href: address, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function scrolling(label, table) {
  return make('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label}, table);
}
