/* Tables that sort by their heads and filter by one field for all. On paper, all rows are there. */
"use strict";

const ROWS_SHOWN = 25;

/* How a column's values look and sort. */
const kinds = {
	text: {show: (v) => v ?? "", key: (v) => String(v ?? "").toLowerCase(), name: ""},
	wide: {show: (v) => v ?? "", key: (v) => String(v ?? "").toLowerCase(), name: "wide"},
	number: {show: (v) => (v === undefined ? "" : number(v)), key: (v) => v ?? -1, name: "number"},
	record: {show: String, key: (v) => v, name: "number"},
	bytes: {show: (v) => bytes(v ?? 0), key: (v) => v ?? -1, name: "number"},
	time: {show: (v) => (v ? v.slice(0, 19).replace("T", " ") : ""), key: (v) => v ?? "", name: "time"},
};

function cellOf(column, row) {
	const kind = kinds[column.kind || "text"], value = row[column.field], text = kind.show(value);

	if (column.kind === "time" && value)
		return element("td", {className: kind.name}, element("time", {dateTime: value, title: value}, text));
	return element("td", {className: kind.name, title: column.short ? value : ""}, column.short ? shortName(text) : text);
}

class FactTable {
	constructor(title, rows, columns, leftOut) {
		this.title = title;
		this.rows = rows;
		this.columns = columns.filter((c) => !c.ifAny || rows.some((r) => r[c.field]));
		this.texts = rows.map((r) => this.columns.map((c) => kinds[c.kind || "text"].show(r[c.field])).join("\n").toLowerCase());
		this.order = rows.map((_, at) => at);
		this.sorted = null;
		this.wanted = "";
		this.all = false;
		this.leftOut = leftOut || 0;
		this.element = this.build();
		this.show();
	}

	build() {
		const id = "t-" + this.title.toLowerCase().replace(/[^a-z]+/g, "-");

		this.count = element("span", {className: "count"});
		this.body = element("tbody");
		this.heads = this.columns.map((column) => this.head(column));
		this.button = element("button", {className: "more", type: "button", onclick: () => this.showAll()});
		return element("section", {className: "table", "aria-labelledby": id},
			       element("div", {className: "title"}, element("h3", {id}, this.title), this.count),
			       element("div", {className: "scroll", tabIndex: 0, role: "region", "aria-labelledby": id},
				       element("table", {"aria-labelledby": id}, element("thead", null, element("tr", null, ...this.heads)), this.body)),
			       this.button,
			       this.leftOut ? element("p", {className: "left-out"}, `and ${number(this.leftOut)} more that the report has no room for`) : null);
	}

	head(column) {
		const arrow = element("span", {className: "arrow", "aria-hidden": "true"});

		return element("th", {scope: "col", className: kinds[column.kind || "text"].name},
			       element("button", {type: "button", onclick: () => this.sortBy(column)}, column.label, arrow));
	}

	sortBy(column) {
		const {key} = kinds[column.kind || "text"], falling = this.sorted === column ? !this.falling : ["number", "bytes", "record"].includes(column.kind);

		this.sorted = column;
		this.falling = falling;
		this.order.sort((a, b) => {
			const x = key(this.rows[a][column.field]), y = key(this.rows[b][column.field]);

			return (x < y ? -1 : x > y ? 1 : a - b) * (falling ? -1 : 1);
		});
		this.columns.forEach((c, at) => {
			const sort = c === column ? (falling ? "descending" : "ascending") : "none";

			this.heads[at].setAttribute("aria-sort", sort);
			this.heads[at].querySelector(".arrow").textContent = sort === "none" ? "" : falling ? "↓" : "↑";
		});
		this.show();
	}

	filter(text) {
		this.wanted = text;
		this.show();
		return this.matching;
	}

	showAll() {
		const first = this.body.rows.length;

		this.all = true;
		this.show();
		this.body.rows[first]?.scrollIntoView({block: "nearest"});
	}

	show(paper = false) {
		const fitting = this.order.filter((at) => this.texts[at].includes(this.wanted));
		const shown = paper || this.all ? fitting : fitting.slice(0, ROWS_SHOWN);

		this.matching = fitting.length;
		this.body.replaceChildren(...shown.map((at) => element("tr", null, ...this.columns.map((c) => cellOf(c, this.rows[at])))));
		this.count.textContent = this.wanted ? `${fitting.length} of ${this.rows.length}` : `${number(this.rows.length)} ${this.rows.length === 1 ? "row" : "rows"}`;
		this.button.hidden = shown.length === fitting.length;
		this.button.textContent = `Show all ${number(fitting.length)}`;
		this.element.hidden = this.wanted !== "" && fitting.length === 0;
	}
}

const who = {field: "initiator", label: "Initiator", short: true}, target = {field: "target", label: "Target", short: true, ifAny: true};
const time = {field: "time", label: "Time", kind: "time"}, record = {field: "seq", label: "Record", kind: "record"};
const events = [time, {field: "event", label: "Event"}, {field: "reason", label: "Reason"}, {field: "peer_ip", label: "Address", ifAny: true},
		{field: "initiator", label: "Initiator", kind: "wide", ifAny: true}, {field: "user", label: "User", ifAny: true},
		{field: "detail", label: "Detail", kind: "wide"}, record];
const amounts = [{field: "read_bytes", label: "Read", kind: "bytes"}, {field: "write_bytes", label: "Written", kind: "bytes"},
		 {field: "discard_bytes", label: "Discarded", kind: "bytes", ifAny: true}, {field: "read_commands", label: "Reads", kind: "number"},
		 {field: "write_commands", label: "Writes", kind: "number"}, {field: "discard_commands", label: "Discards", kind: "number", ifAny: true},
		 {field: "reserve_commands", label: "Reservations", kind: "number", ifAny: true}, {field: "denied", label: "Denied", kind: "number"},
		 {field: "failed", label: "Failed", kind: "number", ifAny: true}];

/* Failures first. A table without rows is not there. */
const tableList = [
	["Gaps in the trail", "gaps", events],
	["Refusals by reason", "refusals", [{field: "reason", label: "Reason"}, {field: "count", label: "Refusals", kind: "number"}]],
	["Sources", "sources", [{field: "address", label: "Address"}, {field: "logins_refused", label: "Logins refused", kind: "number"},
				{field: "connections_refused", label: "Connections refused", kind: "number"},
				{field: "refusals_not_listed", label: "Only counted", kind: "number"}, {field: "bans", label: "Bans", kind: "number"},
				{field: "logins", label: "Logins", kind: "number"}, {field: "last_reason", label: "Last reason"},
				{field: "last_initiator", label: "Last said to be", kind: "wide"}, {field: "first_time", label: "First", kind: "time"},
				{field: "last_time", label: "Last", kind: "time"}]],
	["Bans and decoys", "bans", events],
	["Operators' commands not allowed", "operators_not_allowed", events],
	["Access by initiator and LUN", "accesses", [who, target, {field: "lun", label: "LUN", kind: "number"}, {field: "disk", label: "Disk"}, ...amounts,
						     {field: "first_time", label: "First", kind: "time"}, {field: "last_time", label: "Last", kind: "time"}]],
	["Initiators", "initiators", [{...who, short: false, kind: "wide"}, {field: "logins", label: "Logins", kind: "number"}, ...amounts,
				      {field: "days_of_history", label: "History, days", kind: "number"}]],
	["Seen for the first time", "first_seen", [time, {field: "reason", label: "What is new"}, {...who, short: false, kind: "wide"},
						   {field: "peer_ip", label: "Address"}, record]],
	["Policy", "policy", events],
	["Operators' commands", "operators", events],
	["Disks", "disks", events],
	["Starts, stops, helpers, firewall", "services", events],
];

function makeTables(place) {
	const tables = tableList.filter(([, field]) => facts[field].length)
				.map(([title, field, columns]) => new FactTable(title, facts[field], columns, facts.left_out[field]));
	const field = document.getElementById("filter"), told = document.getElementById("filter-told");

	place.append(...tables.map((t) => t.element));
	field.addEventListener("input", () => {
		const text = field.value.trim().toLowerCase();
		const rows = tables.reduce((sum, t) => sum + t.filter(text), 0);

		told.textContent = text ? `${number(rows)} ${rows === 1 ? "row matches" : "rows match"}` : "";
	});
	addEventListener("beforeprint", () => tables.forEach((t) => t.show(true)));
	addEventListener("afterprint", () => tables.forEach((t) => t.show()));
}
