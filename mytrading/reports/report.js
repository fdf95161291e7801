"use strict";
/* Draws a report (report.json, see document.py) into an element. Charts need Plotly; without it a line says so. */

const IST = 19800000, SHOWN_ROWS = 300;
/* No logo and no button that uploads the chart. */
const CONFIG = {displaylogo: false, responsive: true, showSendToCloud: false,
  modeBarButtonsToRemove: ["sendDataToCloud", "sendChartToCloud", "select2d", "lasso2d"]};
const LIGHT = {gain: "#1a7f47", loss: "#b3261e", subject: "#1f5fa8", muted: "#8a97a6", pale: "#b9c3cf", warn: "#c27c0e",
  ink: "#1b2733", paper: "#ffffff", grid: "#e6ebf0",
  rest: ["#1f5fa8", "#c27c0e", "#7b4ab0", "#0f8a8a", "#b0486f", "#5d7a1f"]};
const DARK = {gain: "#4fbf7d", loss: "#ff7b6e", subject: "#6aa9ee", muted: "#93a1b0", pale: "#4a5665", warn: "#f0b45a",
  ink: "#dde3ea", paper: "#14181d", grid: "#2b3440",
  rest: ["#6aa9ee", "#f0b45a", "#b795e6", "#4cc3c3", "#e08bb0", "#a5c46a"]};

// how values are written

const grouped = {};

/* Digits in Indian groups: 12,34,567. */
function group(value, digits) {
  grouped[digits] ||= new Intl.NumberFormat("en-IN", {minimumFractionDigits: digits, maximumFractionDigits: digits});
  const text = grouped[digits].format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? "−" + text : text;
}

function clock(ms, dateOnly) {
  const text = new Date(ms + IST).toISOString();
  if (dateOnly) return text.slice(0, 10);
  return text.slice(0, 10) + " " + text.slice(11, text.slice(17, 19) === "00" ? 16 : 19);
}

function duration(seconds) {
  const minutes = Math.round(seconds / 60), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  if (seconds < 60) return `${group(seconds, seconds % 1 ? 1 : 0)} s`;
  if (!hours) return `${minutes} min`;
  return days ? `${days} d ${hours % 24} h` : `${hours} h ${minutes % 60} min`;
}

function written(value, unit, digits) {
  if (value === null || value === undefined || value === "") return value === "" ? "" : "–";
  if (typeof value !== "number") return String(value);
  switch (unit) {
    case "integer": return group(value, 0);
    case "price": return group(value, digits ?? 2);
    case "rupees": {
      const text = group(value, digits ?? 2);
      return text.startsWith("−") ? "−₹" + text.slice(1) : "₹" + text;
    }
    case "percent": return group(100 * value, digits ?? 2) + "%";
    case "time": return clock(value, false);
    case "date": return clock(value, true);
    case "duration": return duration(value);
    case "text": return String(value);
    default: return group(value, digits ?? 3);
  }
}

/* The step of an axis in rupees: lakh or crore where its figures are that large. */
function scaleOf(unit, values) {
  if (unit === "percent") return {by: 0.01, name: "%"};
  if (unit !== "rupees") return {by: 1, name: ""};
  let most = 0;
  for (const value of values) if (value !== null && Math.abs(value) > most) most = Math.abs(value);
  if (most >= 1e7) return {by: 1e7, name: "₹ crore"};
  return most >= 1e5 ? {by: 1e5, name: "₹ lakh"} : {by: 1, name: "₹"};
}

// elements

function element(tag, attributes, ...inside) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) if (value) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

const plain = cell => cell !== null && typeof cell === "object" ? cell.value : cell;

function toneOf(cell, column) {
  if (cell !== null && typeof cell === "object" && cell.tone) return cell.tone;
  const value = plain(cell);
  return column.signed && typeof value === "number" && value ? (value > 0 ? "good" : "bad") : "";
}

function cellText(cell, column) {
  const own = cell !== null && typeof cell === "object";
  const unit = own ? cell.unit || "text" : column.unit || "text";
  return written(plain(cell), unit, own ? cell.digits : column.digits);
}

function sortedRows(rows, at, way) {
  const place = value => value === null || value === "" || value === undefined;
  return [...rows].sort((one, other) => {
    const a = plain(one[at]), b = plain(other[at]);
    if (place(a) || place(b)) return place(a) - place(b);
    return way * (typeof a === "number" && typeof b === "number" ? a - b
      : String(a).localeCompare(String(b), "en", {numeric: true}));
  });
}

function tableOf(table) {
  const columns = table.columns, body = element("tbody"), more = element("button", {type: "button"});
  const isText = columns.map((column, at) => (column.unit || "text") === "text"
    && table.rows.every(row => typeof plain(row[at]) !== "number"));
  let rows = table.rows, all = false;
  const fill = () => {
    body.replaceChildren(...(all ? rows : rows.slice(0, SHOWN_ROWS)).map(row => element("tr", {},
      ...row.map((cell, at) => {
        const text = cellText(cell, columns[at]);
        const look = [isText[at] && "text", isText[at] && text.length > 40 && "long", toneOf(cell, columns[at])];
        return element("td", {class: look.filter(Boolean).join(" ")}, text);
      }))));
    more.hidden = all || rows.length <= SHOWN_ROWS;
    more.textContent = `show all ${group(rows.length, 0)} rows`;
  };
  const heads = columns.map((column, at) => {
    const head = element("th", {class: isText[at] && "text", scope: "col", title: "sort"}, column.name);
    head.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending"
        || (!head.hasAttribute("aria-sort") && !isText[at]);
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows = sortedRows(table.rows, at, down ? -1 : 1);
      fill();
    });
    return head;
  });
  more.addEventListener("click", () => { all = true; fill(); });
  fill();
  const whole = element("div", {}, ...(table.title ? [element("h3", {}, table.title)] : []));
  whole.append(element("div", {class: "scroll"},
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body)), more);
  return whole;
}

// charts

const axisName = panel => panel ? `y${panel + 1}` : "y";
const moment = ms => new Date(ms + IST).toISOString().slice(0, -1);
const SHAPES = {up: "triangle-up", down: "triangle-down", cross: "x", circle: "circle", "": "circle"};

function traceOf(one, chart, scales, colours, next) {
  const scale = scales[one.panel || 0], unit = chart.panels[one.panel || 0].unit || "number";
  const colour = one.colour ? colours[one.colour] : colours.rest[next % colours.rest.length];
  const x = chart.x === "number" || chart.x === "category" ? one.x : one.x.map(moment);
  const scaled = values => values.map(value => value === null ? null : value / scale.by);
  const said = () => one.y.map((value, at) => (one.text && one.text[at] ? one.text[at] + ": " : "")
    + written(value, unit));
  const trace = {name: one.name, x, yaxis: axisName(one.panel || 0), visible: one.hidden ? "legendonly" : true};
  switch (one.draw) {
    case "candles":
      return {...trace, type: "candlestick", open: scaled(one.open), high: scaled(one.high), low: scaled(one.low),
        close: scaled(one.y), increasing: {line: {color: colours.gain, width: 1}},
        decreasing: {line: {color: colours.loss, width: 1}}};
    case "heat":
      return {...trace, type: "heatmap", y: one.y, z: one.cells, hoverongaps: false, colorbar: {title: {text: one.name},
        exponentformat: "none", separatethousands: true},
        ...heatColours(one.cells, chart, colours)};
    case "bars":
      return {...trace, type: "bar", y: scaled(one.y), customdata: said(), marker: {color: one.colour || !one.signed
        ? colour : one.y.map(value => value < 0 ? colours.loss : colours.gain)},
        hovertemplate: "%{customdata}<extra>%{fullData.name}</extra>"};
    case "marks":
      return {...trace, type: "scatter", mode: "markers", y: scaled(one.y), customdata: said(),
        marker: {color: colour, size: one.size ?? 9, symbol: SHAPES[one.shape || ""] + (one.hollow ? "-open" : "")},
        hovertemplate: "%{customdata}<extra>%{fullData.name}</extra>"};
    default:
      return {...trace, type: "scatter", mode: "lines", y: scaled(one.y),
        customdata: said(), hovertemplate: "%{customdata}<extra>%{fullData.name}</extra>",
        line: {color: colour, width: one.draw === "area" ? 1 : 1.5, dash: one.dashed ? "dash" : "solid",
          shape: one.draw === "step" ? "hv" : "linear"},
        ...(one.draw === "area" ? {fill: "tozeroy"} : {})};
  }
}

/* Where high is good, no value below 0 is green; where all have one sign, that colour only gets deeper. */
function heatColours(cells, chart, colours) {
  const values = cells.flat().filter(value => value !== null && value !== undefined);
  const low = Math.min(...values), high = Math.max(...values), middle = colours.paper === "#ffffff" ? "#f7f7f7" : "#3a3f45";
  const [bad, good] = [colours.loss, colours.gain];
  if (chart.diverging) {
    const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    return {zmin: -most, zmax: most, colorscale: [[0, bad], [0.5, middle], [1, good]]};
  }
  return chart.reverse ? {colorscale: [[0, good], [1, middle]]} : {colorscale: [[0, middle], [1, good]]};
}

function breaksOf(chart) {
  const found = [];
  if (chart.closed_hours) found.push({bounds: chart.closed_hours, pattern: "hour"});
  if (chart.closed_weekends) found.push({bounds: ["sat", "mon"]});
  if (chart.closed_days) { // only their open hours: Plotly misplaces all that follows breaks which overlap
    const [close, open] = chart.closed_hours || [24, 0], from = new Date(open * 3600000).toISOString().slice(11, 19);
    found.push({values: chart.closed_days.map(day => `${day} ${from}`), dvalue: (close - open) * 3600000});
  }
  return found;
}

function layoutOf(chart, scales, colours) {
  const panels = chart.panels, gap = panels.length > 1 ? 0.05 : 0, whole = panels.reduce((sum, one) => sum + (one.share ?? 1), 0);
  const height = chart.height ?? 360, below = chart.x_title ? 58 : 36; // of the legend, in pixels under the axis
  const layout = {height, margin: {l: 70, r: 20, t: chart.title ? 40 : 20, b: 40},
    hovermode: chart.x === "category" ? "closest" : "x unified", paper_bgcolor: colours.paper,
    plot_bgcolor: colours.paper, font: {color: colours.ink, size: 12}, title: {text: chart.title || "", font: {size: 14}},
    legend: {orientation: "h", y: -below / (height - 80)}, separators: ".,", bargap: 0.05, shapes: [], annotations: [],
    xaxis: {exponentformat: "none", separatethousands: true, gridcolor: colours.grid, linecolor: colours.grid, zeroline: false, title: {text: chart.x_title || ""},
      type: chart.x === "number" ? "linear" : chart.x === "category" ? "category" : "date",
      rangeslider: {visible: false}, anchor: axisName(panels.length - 1)}};
  if (chart.x === "number" && chart.x_unit === "percent") layout.xaxis.tickformat = ".2%";
  if ((chart.x ?? "time") === "time") layout.xaxis.rangebreaks = breaksOf(chart);
  if (chart.ranges) {
    layout.margin.t += 30;
    layout.xaxis.rangeselector = {bgcolor: colours.grid, activecolor: colours.pale, y: 1.02, buttons: [
      ...[["1D", 1, "day"], ["1W", 7, "day"], ["1M", 1, "month"], ["3M", 3, "month"]].map(
        ([label, count, step]) => ({label, count, step, stepmode: "backward"})), {label: "all", step: "all"}]};
  }
  if (chart.first) layout.xaxis.range = chart.first.map(chart.x === "number" ? Number : moment);
  let top = 1;
  panels.forEach((panel, at) => {
    const part = (1 - gap * (panels.length - 1)) * (panel.share ?? 1) / whole;
    const title = [panel.title, scales[at].name].filter(Boolean).join(", ");
    layout["yaxis" + (at ? at + 1 : "")] = {domain: [Math.max(0, top - part), top], gridcolor: colours.grid,
      linecolor: colours.grid, zerolinecolor: colours.pale, title: {text: title}, exponentformat: "none",
      type: panel.log ? "log" : chart.series.some(one => one.draw === "heat") ? "category" : "linear",
      separatethousands: true};
    top -= part + gap;
  });
  for (const line of chart.lines || []) {
    const y = axisName(line.panel || 0), across = line.axis === "x";
    const at = across ? ((chart.x ?? "time") === "time" ? moment(line.value) : line.value)
      : line.value / scales[line.panel || 0].by;
    const place = across ? {x0: at, x1: at, y0: 0, y1: 1, yref: `${y} domain`, xref: "x"}
      : {x0: 0, x1: 1, y0: at, y1: at, xref: "x domain", yref: y};
    layout.shapes.push({type: "line", ...place, line: {color: colours.muted, width: 1, dash: "dot"}});
    if (line.text) layout.annotations.push({text: line.text, showarrow: false, font: {color: colours.muted, size: 11},
      ...(across ? {x: at, xref: "x", y: 1, yref: `${y} domain`, yanchor: "bottom"}
        : {x: 1, xref: "x domain", y: at, yref: y, xanchor: "right", yanchor: "bottom"})});
  }
  return layout;
}

/* A chart's traces and layout, as Plotly wants them. */
function figureOf(given, colours) {
  const chart = {...given, panels: given.panels ?? [{}], series: given.series || []};
  const scales = chart.panels.map((panel, at) => scaleOf(panel.unit || "number",
    chart.series.filter(one => (one.panel || 0) === at && one.draw !== "heat").flatMap(one => one.y)));
  let next = 0;
  const data = chart.series.map(one => traceOf(one, chart, scales, colours, one.colour ? 0 : next++));
  return {data, layout: layoutOf(chart, scales, colours)};
}

/* Fit each panel's axis to what is shown of it, since Plotly keeps that of the whole when one zooms. */
function fitPanels(holder, chart) {
  const shown = holder.layout.xaxis.range;
  if (!shown || chart.x === "category") return;
  const time = (chart.x ?? "time") === "time";
  const number = value => {
    const text = String(value).replace(" ", "T");
    return time ? Date.parse(text.includes("T") ? text + "Z" : text) : Number(value);
  };
  const from = number(shown[0]), to = number(shown[1]), change = {};
  (chart.panels ?? [{}]).forEach((panel, at) => {
    if (panel.log) return;
    let low = Infinity, high = -Infinity;
    for (const one of holder.data) {
      if (one.yaxis !== axisName(at) || one.visible === "legendonly" || !one.x || one.type === "heatmap") continue;
      const lows = one.low || one.y, highs = one.high || one.y;
      for (let row = 0; row < one.x.length; row++) {
        const place = time ? Date.parse(one.x[row] + "Z") : one.x[row];
        if (place < from || place > to || lows[row] === null) continue;
        low = Math.min(low, lows[row], one.type === "bar" ? 0 : Infinity);
        high = Math.max(high, highs[row], one.type === "bar" ? 0 : -Infinity);
      }
    }
    if (low > high) return;
    const room = (high - low) * 0.05 || Math.abs(high) * 0.01 || 1;
    change[`yaxis${at ? at + 1 : ""}.range`] = [low === 0 ? 0 : low - room, high + room];
  });
  Plotly.relayout(holder, change);
}

const chosenColours = () => window.matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT;

function chartOf(chart) {
  const holder = element("div", {class: "chart"});
  if (typeof Plotly === "undefined") {
    const script = [...document.querySelectorAll("script[src]")].map(one => one.getAttribute("src")).join(", ");
    holder.append(element("p", {class: "note"}, `${chart.title || "A chart"}: not drawn, since ${script} is not where `
      + "this page expects it. Keep the folder assets with the pages, or write the report again."));
    return holder;
  }
  holder.style.minHeight = `${chart.height ?? 360}px`;
  const draw = () => {
    const {data, layout} = figureOf(chart, chosenColours());
    Plotly.newPlot(holder, data, layout, CONFIG).then(() => {
      if (!chart.ranges && !chart.first) return;
      let busy = false;
      holder.on("plotly_relayout", change => {
        if (busy || !Object.keys(change).some(key => key.startsWith("xaxis"))) return;
        busy = true;
        fitPanels(holder, chart);
        busy = false;
      });
      if (chart.first) fitPanels(holder, chart);
    });
  };
  // charts far down the page are drawn when they come near: a page with many opens at once
  if (typeof IntersectionObserver === "undefined") draw();
  else new IntersectionObserver((entries, watcher) => {
    if (entries.some(entry => entry.isIntersecting)) { watcher.disconnect(); draw(); }
  }, {rootMargin: "600px"}).observe(holder);
  return holder;
}

// payoff

/* The normal distribution function, to 1e-15. */
function normal(x) {
  if (x > 8) return 1;
  if (x < -8) return 0;
  let term = x, sum = x;
  for (let k = 3; Math.abs(term) > 1e-17 && k < 500; k += 2) sum += term *= x * x / k;
  return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
}

/* Black-76 on a forward, rupees a unit. */
function optionPrice(forward, strike, years, volatility, rate, call) {
  const deviation = volatility * Math.sqrt(years), discount = Math.exp(-rate * years);
  if (!(deviation > 0)) return discount * Math.max(call ? forward - strike : strike - forward, 0);
  const d1 = Math.log(forward / strike) / deviation + deviation / 2, d2 = d1 - deviation;
  return discount * (call ? forward * normal(d1) - strike * normal(d2) : strike * normal(-d2) - forward * normal(-d1));
}

/* Rupees earned with the underlying at `spot`, `gone` years from now, volatilities moved by `shift` (0.01: a point). */
function payoffProfit(payoff, spot, gone, shift) {
  let sum = 0;
  for (const leg of payoff.legs) {
    let worth = spot;
    if (leg.kind === "CE" || leg.kind === "PE") {
      const left = Math.max(leg.years - gone, 0), call = leg.kind === "CE";
      worth = left > 1e-9
        ? optionPrice(spot * Math.exp(payoff.rate * left), leg.strike, left, Math.max(leg.volatility + shift, 1e-4),
          payoff.rate, call)
        : Math.max(call ? spot - leg.strike : leg.strike - spot, 0);
    } else if (leg.kind === "FUT") {
      worth += (leg.price - payoff.spot) * (payoff.years > 0 ? Math.max(1 - gone / payoff.years, 0) : 0);
    }
    sum += leg.units * (worth - leg.price);
  }
  return sum;
}

/* The chance that the position is in profit at the first expiry, with the underlying at `spot` after `gone` years. */
function profitChance(payoff, spot, gone, shift) {
  const options = payoff.legs.filter(leg => leg.volatility > 0), left = payoff.years - gone;
  const mean = options.reduce((sum, leg) => sum + leg.volatility, 0) / (options.length || 1) + shift;
  const deviation = Math.max(mean, 1e-4) * Math.sqrt(Math.max(left, 0));
  const atEnd = price => payoffProfit(payoff, price, payoff.years, shift);
  if (!options.length || !(deviation > 0)) return atEnd(spot) > 0 ? 1 : 0;
  const middle = Math.log(spot) + payoff.rate * left - deviation * deviation / 2;
  const steps = 4000, below = price => normal((Math.log(price) - middle) / deviation);
  let chance = 0, from = 0, last = Math.exp(middle - 8 * deviation), value = atEnd(last);
  for (let k = 1; k <= steps; k++) {
    const price = Math.exp(middle + (16 * k / steps - 8) * deviation), now = atEnd(price);
    if ((now > 0) !== (value > 0)) {
      const cut = below(last + (price - last) * value / (value - now));
      if (value > 0) chance += cut - from;
      from = cut;
    }
    [last, value] = [price, now];
  }
  return value > 0 ? chance + 1 - from : chance;
}

function payoffOf(payoff) {
  const days = payoff.years * 365, holder = element("div", {class: "chart"}), figures = element("div", {class: "cards"});
  const slider = (name, low, high, step, start, unit) => {
    const input = element("input", {type: "range", min: String(low), max: String(high), step: String(step),
      "aria-label": name, name});
    input.value = String(start);
    const shown = element("output", {}), say = () => { shown.textContent = unit(Number(input.value)); };
    input.addEventListener("input", () => { say(); draw(); });
    say();
    return {input, row: [element("span", {}, name), input, shown]};
  };
  const spot = slider("spot", payoff.low, payoff.high, (payoff.high - payoff.low) / 400, payoff.spot,
    value => `${written(value, "price")} (${written(value / payoff.spot - 1, "percent")})`);
  const volatility = slider("volatility", -0.2, 0.2, 0.005, 0, value => `${value < 0 ? "" : "+"}${group(100 * value, 1)} points`);
  const passed = slider("days", 0, Math.max(days, 0.01), Math.max(days, 0.01) / 200, 0, value => `${group(value, 1)} of ${group(days, 1)} passed`);
  const reset = element("button", {type: "button"}, "as now");
  reset.addEventListener("click", () => {
    for (const [one, start] of [[spot, payoff.spot], [volatility, 0], [passed, 0]]) {
      one.input.value = String(start);
      one.input.dispatchEvent(new Event("input"));
    }
  });
  const prices = Array.from({length: 401}, (_, k) => payoff.low + (payoff.high - payoff.low) * k / 400);
  function draw() {
    const gone = Number(passed.input.value) / 365, shift = Number(volatility.input.value), at = Number(spot.input.value);
    const now = payoffProfit(payoff, at, gone, shift), atEnd = payoffProfit(payoff, at, payoff.years, shift);
    const card = (name, value, unit, tone) => element("div", {class: "card"}, name,
      element("b", {class: tone}, written(value, unit, unit === "rupees" ? 0 : 1)));
    const sign = value => value >= 0.5 ? "good" : value <= -0.5 ? "bad" : "";
    figures.replaceChildren(card("Profit then", now, "rupees", sign(now)),
      card("Profit at expiry", atEnd, "rupees", sign(atEnd)),
      card("Probability of profit", profitChance(payoff, at, gone, shift), "percent", ""));
    if (typeof Plotly === "undefined") return;
    const chart = {x: "number", x_title: payoff.underlying, height: 460, panels: [{title: "profit", unit: "rupees"}],
      series: [{name: "at expiry", draw: "area", x: prices, y: prices.map(p => payoffProfit(payoff, p, payoff.years, shift)),
        colour: "subject"},
      {name: gone ? "then" : "T+0", draw: "line", x: prices, y: prices.map(p => payoffProfit(payoff, p, gone, shift)),
        colour: "warn"},
      {name: "here", draw: "marks", x: [at], y: [now], colour: "warn", shape: "circle"}],
      lines: [{axis: "x", value: payoff.spot, text: "spot now"}]};
    const {data, layout} = figureOf(chart, chosenColours());
    Plotly.react(holder, data, layout, CONFIG);
  }
  const whole = element("div", {}, figures, holder,
    element("div", {class: "sliders"}, ...spot.row, ...volatility.row, ...passed.row), reset);
  if (typeof Plotly === "undefined") whole.append(chartOf({title: "The payoff"}));
  setTimeout(draw);
  return whole;
}

// the page

function blockOf(block) {
  switch (block.type) {
    case "table": return tableOf(block);
    case "chart": return chartOf(block);
    case "payoff": return payoffOf(block);
    default: return element("p", {class: "note"}, block.text);
  }
}

function showReport(report, page) {
  page.replaceChildren(element("h1", {}, report.heading || report.title));
  if (report.subtitle) page.append(element("p", {class: "note"}, report.subtitle));
  if (report.verdict) page.append(element("p", {class: report.verdict.tone}, cellText(report.verdict, {})));
  if (report.cards) page.append(element("div", {class: "cards"}, ...report.cards.map(card => element("div", {class: "card"},
    card.name, element("b", {class: card.value.tone}, cellText(card.value, {}))))));
  if (report.notes) page.append(element("ul", {class: "note"}, ...report.notes.map(note => element("li", {}, note))));
  const named = (report.sections || []).filter(section => section.title);
  if (named.length > 4) page.append(element("nav", {}, ...named.map((section, at) => element("a", {href: `#s${at}`},
    section.title))));
  for (const section of report.sections || []) {
    const at = named.indexOf(section);
    if (section.title) page.append(element("h2", {id: `s${at}`}, section.title));
    for (const block of section.blocks) {
      try {
        page.append(blockOf(block));
      } catch (error) {
        page.append(element("p", {class: "bad"}, `${section.title}: not shown (${error.message})`));
        console.error(error);
      }
    }
  }
}

if (typeof module !== "undefined") {
  module.exports = {written, scaleOf, sortedRows, figureOf, normal, optionPrice, payoffProfit, profitChance, LIGHT, DARK};
}
