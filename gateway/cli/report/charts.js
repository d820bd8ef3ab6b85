/* Bars over time, up and down from a line: position tells what colour tells, and a table behind each chart has the numbers. */
"use strict";

const bars = uPlot.paths.bars({size: [0.9, 40], align: 0});

/* Minutes and hours as the report's zone has them. */
const stamps = [
	[86400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
	[3600, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, null, null, null, null, 1],
	[60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, null, null, null, null, 1],
	[1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, null, null, null, null, 1],
];

function axis(more) {
	return {stroke: colour("soft"), grid: {stroke: colour("line"), width: 1}, ticks: {stroke: colour("line"), width: 1, size: 5},
		font: "12px system-ui, sans-serif", ...more};
}

function fill(name) {
	return {stroke: colour(name), fill: colour(name), width: 0, paths: bars, points: {show: false}};
}

/* The line has room on both sides, for its own label, too. */
function yRange(least, most) {
	const up = Math.max(0, most), down = Math.max(0, -least), most_of_both = Math.max(up, down) || 1;

	return [-Math.max(down * 1.1, most_of_both * 0.15), Math.max(up * 1.1, most_of_both * 0.15)];
}

/* Marks at powers of two for bytes, at whole numbers for what is counted. */
const steps = {bytes: Array.from({length: 61}, (_, k) => 2 ** k),
	       counts: Array.from({length: 16}, (_, k) => [1, 2, 5].map((n) => n * 10 ** k)).flat()};

/* `series`: {name, label, values, down}; one that goes down has its values below the line. */
function plotOptions(series, width, height, told) {
	return {
		width, height, legend: {show: false}, padding: [8, 30, 0, 0],
		tzDate: (s) => inZone(s * 1000),
		cursor: {y: false, drag: {x: false, y: false}, sync: told.sync ? {key: told.sync} : {}, points: {show: false}},
		scales: {x: {time: true, range: () => [facts.period.since_ms / 1000, facts.period.until_ms / 1000]},
			 y: {range: (_, least, most) => yRange(least ?? 0, most ?? 0)}},
		axes: [axis({values: stamps, space: 95, show: told.axis !== false}), axis({size: 72, incrs: told.unit === bytes ? steps.bytes : steps.counts, values: (_, all) => all.map((v) => told.unit(Math.abs(v))), space: 26})],
		series: [{}, ...series.map((one) => ({label: one.label, ...fill(one.colour)}))],
		hooks: {setCursor: [(u) => told.at(u.cursor.idx)],
			draw: [(u) => {
				const y = Math.round(u.valToPos(0, "y", true));

				u.ctx.fillStyle = colour("soft");
				u.ctx.fillRect(u.bbox.left, y, u.bbox.width, devicePixelRatio);
			}]},
	};
}

/* Draws now, and again when colours or the width change. */
function plot(place, series, height, told) {
	const data = [bucketSeconds, ...series.map((s) => s.values.map((v) => (v === 0 ? null : s.down ? -v : v)))];
	let chart = null, width = 0;

	drawings.push(() => {
		chart?.destroy();
		width = place.clientWidth;
		chart = new uPlot(plotOptions(series, width, height, told), data, place);
		chart.root.setAttribute("aria-hidden", "true");
	});
	new ResizeObserver(() => {
		if (chart && place.clientWidth && place.clientWidth !== width)
			chart.setSize({width: width = place.clientWidth, height});
	}).observe(place);
}

function legend(...entries) {
	return element("ul", {className: "legend"}, ...entries.map(([name, label]) =>
		element("li", null, element("i", {className: "is-" + name, "aria-hidden": "true"}), label)));
}

/* The numbers behind a chart, of the times that have any. */
function numbers(caption, columns) {
	const scroll = element("div", {className: "scroll", tabIndex: 0, role: "region", "aria-label": caption});
	const details = element("details", null, element("summary", null, "The numbers behind it"), scroll);
	const rows = bucketSeconds.map((_, at) => at).filter((at) => columns.some((c) => c.values[at]));

	details.addEventListener("toggle", () => scroll.replaceChildren(element("table", null,
		element("caption", {className: "note"}, caption),
		element("thead", null, element("tr", null, element("th", {scope: "col"}, "From"),
					       ...columns.map((c) => element("th", {scope: "col", className: "number"}, c.label)))),
		element("tbody", null, ...rows.map((at) => element("tr", null, element("th", {scope: "row"}, moment(at)),
			...columns.map((c) => element("td", {className: "number"}, c.show(c.values[at])))))))));
	return details;
}

function sum(values) {
	return values.reduce((a, b) => a + b, 0);
}

function makeLogins(place) {
	const line = facts.timeline;
	const series = [{label: "Logins", colour: "read", values: line.logins},
			{label: "Connections refused", colour: "doubt", down: true,
			 values: line.connections_refused.map((n, at) => n + line.logins_refused[at])},
			{label: "Logins refused", colour: "refuse", down: true, values: line.logins_refused}];
	const readout = element("span", {className: "readout"}), chart = element("div", {className: "plot"});

	place.append(legend(["read", `Logins: ${number(sum(line.logins))}`], ["refuse", `Logins refused: ${number(sum(line.logins_refused))}`],
			    ["connection", `Connections refused: ${number(sum(line.connections_refused))}`]), chart, readout,
		     numbers("Logins and refusals", [{label: "Logins", values: line.logins, show: number},
						     {label: "Logins refused", values: line.logins_refused, show: number},
						     {label: "Connections refused", values: line.connections_refused, show: number}]));
	plot(chart, series, 230, {unit: number, at: (at) => {
		readout.textContent = at === null || at === undefined ? "" : `${moment(at)}: ${number(line.logins[at])} logins, ` +
			`${number(line.logins_refused[at])} logins refused, ${number(line.connections_refused[at])} connections refused`;
	}});
}

function makeRow(one, last) {
	const chart = element("div", {className: "plot"}), readout = element("span", {className: "readout"});
	const series = [{label: "Read", colour: "read", values: one.read_bytes},
			{label: "Discarded", colour: "discard", down: true, values: one.discard_bytes.map((n, at) => n + one.write_bytes[at])},
			{label: "Written", colour: "write", down: true, values: one.write_bytes}];

	plot(chart, series, last ? 132 : 104, {unit: bytes, axis: last, sync: "bytes", at: (at) => {
		readout.textContent = at === null || at === undefined ? "" : `${moment(at).slice(5)}: ${bytes(one.read_bytes[at])} read, ` +
			`${bytes(one.write_bytes[at])} written, ${bytes(one.discard_bytes[at])} discarded`;
	}});
	return element("div", {className: "row"},
		       element("div", null, element("span", {className: "name", title: one.initiator}, one.label),
			       element("span", {className: "sums"}, `${bytes(sum(one.read_bytes))} read, ${bytes(sum(one.write_bytes))} written` +
				       (sum(one.discard_bytes) ? `, ${bytes(sum(one.discard_bytes))} discarded` : "")), readout), chart);
}

function makeBytes(place) {
	const rows = facts.timeline.initiators.map((one) => ({...one, label: shortName(one.initiator)}));

	for (const one of facts.timeline.others || [])
		rows.push({...one, label: `${facts.timeline.other_initiators} others`});
	if (!rows.length)
		return place.append(element("p", {className: "note"}, "Nobody read or wrote anything in this period."));
	place.append(legend(["read", "Read"], ["write", "Written"], ["discard", "Discarded"]),
		     ...rows.map((one, at) => makeRow(one, at === rows.length - 1)),
		     numbers("Bytes by initiator", rows.flatMap((one) => [{label: `${one.label}: read`, values: one.read_bytes, show: bytes},
									 {label: "written", values: one.write_bytes, show: bytes},
									 {label: "discarded", values: one.discard_bytes, show: bytes}])));
}
