/* The blocks of a LUN from top to bottom, time from left to right. All deeds at once, or one alone; what a place has is
 * told in words below, by pointer or arrow keys, and in a table. */
"use strict";

const LEFT = 72, BELOW = 22, CELL_HEIGHT = 3;
const deeds = ["read", "written", "discarded"];

/* The LUN to begin with: one on which something was out of the ordinary, else the one with the most. */
function mostTelling() {
	const told = facts.unusual.filter((u) => u.lun !== undefined).sort((a, b) => (a.kind === "bulk-read") - (b.kind === "bulk-read"))[0];
	const of = (m) => facts.maps.findIndex((other) => other.target === m?.target && other.lun === m?.lun);

	return Math.max(0, of(told) >= 0 ? of(told) : of(facts.accesses[0]));
}

class BlockMap {
	constructor(place) {
		this.columns = facts.timeline.buckets;
		this.view = "all";
		this.at = null; /* the place that is told of: [row, column] */
		this.canvas = element("canvas", {role: "img"});
		this.box = element("div", {className: "cells", tabIndex: 0, role: "application",
					   "aria-label": "Map of blocks over time: arrow keys move over it, what is there is told below",
					   "aria-roledescription": "map"}, this.canvas);
		this.readout = element("output", {className: "readout"});
		this.lowest = element("div");
		place.append(this.controls(), this.key = element("div"), this.box, this.readout, this.lowest);
		this.listen();
		this.choose(mostTelling());
		drawings.push(() => this.draw());
		new ResizeObserver(() => this.draw()).observe(this.box);
	}

	controls() {
		const select = element("select", {onchange: () => this.choose(+select.value)}, ...facts.maps.map((m, at) =>
			element("option", {value: String(at), selected: at === mostTelling()}, `${shortName(m.target)}, LUN ${m.lun}${m.disk ? ` (${m.disk})` : ""}`)));
		const choices = ["all", ...deeds].map((view) => element("label", null,
			element("input", {type: "radio", name: "view", checked: view === "all", onchange: () => this.look(view)}),
			view === "all" ? "All" : view[0].toUpperCase() + view.slice(1)));

		return element("div", {className: "controls"}, element("label", null, "LUN", select),
			       element("fieldset", null, element("legend", null, "What is shown"), element("div", {className: "choice"}, ...choices)));
	}

	choose(which) {
		const m = facts.maps[which], size = this.columns * m.rows;

		this.map = m;
		this.cells = deeds.map(() => new Float64Array(size));
		for (let k = 0; k < m.cells.length; k += 5) {
			const at = m.cells[k] * this.columns + m.cells[k + 1];

			for (let deed = 0; deed < 3; deed++)
				this.cells[deed][at] = m.cells[k + 2 + deed];
		}
		this.rows = m.blocks ? Math.min(m.rows, Math.ceil(m.blocks / m.row_blocks)) : m.rows;
		this.at = null;
		this.canvas.setAttribute("aria-label", `${shortName(m.target)}, LUN ${m.lun}: ` + deeds.map((deed, k) =>
			`${bytes(sum([...this.cells[k]]) * m.block_bytes)} ${deed}`).join(", ") + ". A table of it follows.");
		this.lowest.replaceChildren(this.table());
		this.look(this.view);
	}

	look(view) {
		this.view = view;
		this.key.replaceChildren(view === "all" ? legend(["read", "read"], ["write", "written"], ["both", "read and written"], ["discard", "discarded"])
							: legend([["read", "write", "discard"][deeds.indexOf(view)], view]),
					 element("p", {className: "explain"}, `Each cell is ${bytes(this.map.row_blocks * this.map.block_bytes)} of the LUN ` +
						 `for ${this.duration()}; the more of it was touched, the stronger it is.`));
		this.draw();
	}

	duration() {
		const s = facts.timeline.bucket_ms / 1000;

		return s < 120 ? `${+s.toFixed(1)} s` : s < 7200 ? `${+(s / 60).toFixed(1)} min` : `${+(s / 3600).toFixed(1)} h`;
	}

	/* The colour of a cell, and how much of it was touched; null: untouched. */
	look_at(at) {
		const [read, written, discarded] = this.cells.map((c) => c[at]);

		if (this.view !== "all") {
			const deed = deeds.indexOf(this.view), blocks = this.cells[deed][at];

			return blocks ? [["read", "write", "discard"][deed], blocks] : null;
		}
		if (discarded)
			return ["discard", discarded];
		if (read && written)
			return ["both", read + written];
		return written ? ["write", written] : read ? ["read", read] : null;
	}

	draw() {
		const scale = devicePixelRatio, width = this.box.clientWidth, height = this.rows * CELL_HEIGHT;

		if (!width)
			return;
		this.canvas.width = Math.round(width * scale);
		this.canvas.height = Math.round((height + BELOW) * scale);
		this.canvas.style.height = `${height + BELOW}px`;
		this.wide = (width - LEFT) / this.columns;
		const ctx = this.canvas.getContext("2d");

		ctx.scale(scale, scale);
		ctx.fillStyle = colour("empty");
		ctx.fillRect(LEFT, 0, width - LEFT, height);
		this.drawCells(ctx);
		this.drawAxes(ctx, width, height);
		if (this.at) {
			ctx.strokeStyle = colour("ink");
			ctx.lineWidth = 1.5;
			ctx.strokeRect(LEFT + this.at[1] * this.wide - 2, this.at[0] * CELL_HEIGHT - 2, this.wide + 4, CELL_HEIGHT + 4);
		}
	}

	drawCells(ctx) {
		const colours = Object.fromEntries(["read", "write", "both", "discard"].map((name) => [name, colour(name)]));

		for (let row = 0; row < this.rows; row++) {
			for (let column = 0; column < this.columns; column++) {
				const look = this.look_at(row * this.columns + column);

				if (!look)
					continue;
				ctx.globalAlpha = 0.35 + 0.65 * Math.min(1, Math.sqrt(look[1] / this.map.row_blocks));
				ctx.fillStyle = colours[look[0]];
				ctx.fillRect(LEFT + column * this.wide, row * CELL_HEIGHT, this.wide + 0.3, CELL_HEIGHT);
			}
		}
		ctx.globalAlpha = 1;
	}

	drawAxes(ctx, width, height) {
		const ticks = Math.max(2, Math.min(8, Math.floor((width - LEFT) / 130)));

		ctx.fillStyle = colour("soft");
		ctx.font = "12px system-ui, sans-serif";
		ctx.textAlign = "right";
		for (let k = 0; k <= 4; k++) {
			const row = this.rows * k / 4;

			ctx.textBaseline = k === 0 ? "top" : k === 4 ? "bottom" : "middle";
			ctx.fillText(bytes(row * this.map.row_blocks * this.map.block_bytes), LEFT - 8, row * CELL_HEIGHT);
		}
		ctx.textBaseline = "top";
		for (let k = 0; k <= ticks; k++) {
			const text = clock(bucketTime(this.columns * k / ticks));

			ctx.textAlign = k === 0 ? "left" : k === ticks ? "right" : "center";
			ctx.fillText(facts.timeline.bucket_ms * this.columns > 172800000 ? text.slice(5, 16) : text.slice(11), LEFT + (width - LEFT) * k / ticks, height + 6);
		}
	}

	listen() {
		const steps = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};

		this.box.addEventListener("keydown", (event) => {
			const step = steps[event.key];

			if (!step)
				return;
			event.preventDefault();
			const far = event.shiftKey ? 8 : 1, [row, column] = this.at || [0, 0];

			this.tell(row + step[0] * far, column + step[1] * far);
		});
		this.canvas.addEventListener("pointermove", (event) => {
			const box = this.canvas.getBoundingClientRect();

			this.tell(Math.floor((event.clientY - box.top) / CELL_HEIGHT), Math.floor((event.clientX - box.left - LEFT) / this.wide));
		});
	}

	tell(row, column) {
		row = Math.max(0, Math.min(this.rows - 1, row));
		column = Math.max(0, Math.min(this.columns - 1, column));
		this.at = [row, column];
		const at = row * this.columns + column, first = row * this.map.row_blocks;
		const done = deeds.map((deed, k) => this.cells[k][at] && `${bytes(this.cells[k][at] * this.map.block_bytes)} ${deed}`).filter(Boolean);

		this.readout.textContent = `${moment(column)}, blocks ${number(first)} to ${number(first + this.map.row_blocks - 1)}: ` +
					   (done.join(", ") || "nothing");
		this.draw();
	}

	/* Sixteen parts of the LUN: who can't see the map reads this. */
	table() {
		const parts = 16, of = Math.ceil(this.rows / parts), rows = [];

		for (let first = 0; first < this.rows; first += of) {
			const sums = this.cells.map((c) => sum([...c.subarray(first * this.columns, Math.min(first + of, this.rows) * this.columns)]));

			if (sums.some(Boolean))
				rows.push([first, sums]);
		}
		return element("details", null, element("summary", null, "The numbers behind it"), element("div", {className: "scroll", tabIndex: 0, role: "region", "aria-label": "Blocks of the LUN"},
			element("table", null, element("caption", {className: "note"}, "Sixteen parts of the LUN, all of the period"),
				element("thead", null, element("tr", null, element("th", {scope: "col"}, "Blocks from"),
				...deeds.map((d) => element("th", {scope: "col", className: "number"}, d)))),
				element("tbody", null, ...rows.map(([first, sums]) => element("tr", null,
					element("th", {scope: "row"}, `${number(first * this.map.row_blocks)} (${bytes(first * this.map.row_blocks * this.map.block_bytes)})`),
					...sums.map((n) => element("td", {className: "number"}, bytes(n * this.map.block_bytes)))))))));
	}
}

function makeMap(place) {
	if (!facts.maps.length)
		return place.append(element("p", {className: "note"}, "No block was touched in this period."));
	new BlockMap(place);
	if (facts.left_out.maps)
		place.append(element("p", {className: "note"}, `${facts.left_out.maps} more LUNs have no map.`));
}
