/* Puts the report together. */
"use strict";

function makeMeta(place) {
	const entries = [["Made", clock(facts.period.made_ms)], ["Time zone", zone.name], ["Records", facts.trail.records ? `${number(facts.trail.records)} (${facts.trail.first_seq} to ${facts.trail.last_seq})` : "none"],
			 ["State folder", facts.trail.state_folder]];

	place.append(...entries.flatMap(([name, value]) => [element("dt", null, name), element("dd", null, value)]));
}

function makeFigures(place) {
	const t = facts.totals, refused = t.logins_refused + t.refusals_not_listed, sources = facts.sources.filter((s) => s.logins_refused).length;
	const figures = [["Logins refused", number(refused), t.refusals_not_listed ? `${number(t.refusals_not_listed)} only counted` : `from ${sources || "no"} ${sources === 1 ? "address" : "addresses"}`, refused],
			 ["Connections refused", number(t.connections_refused), "before a login", t.connections_refused],
			 ["Bans", number(t.bans), t.decoys ? `${number(t.decoys)} asked for decoys` : "of addresses", t.bans],
			 ["Commands denied", number(t.denied), "by the policy", t.denied],
			 ["Logins", number(t.logins), `${number(t.logouts)} sessions ended`], ["Read", bytes(t.read_bytes), `${number(t.read_commands)} commands`],
			 ["Written", bytes(t.write_bytes), `${number(t.write_commands)} commands`],
			 ["Discarded", bytes(t.discard_bytes), `${number(t.discard_commands)} commands`]];

	place.append(...figures.map(([name, value, more, alarm]) => element("li", {className: alarm ? "alarm" : ""},
		element("span", {className: "name"}, name), element("span", {className: "value"}, value), element("span", {className: "note"}, more))));
}

function makeUnusual(place) {
	const judged = facts.initiators.filter((i) => i.compared_with_history).length, all = facts.initiators.length;

	place.hidden = false;
	place.append(element("p", {className: "explain"}, (facts.unusual.length ? "" : "Nothing. ") + (judged < all
		? `Hours and volumes of ${all - judged} of ${all} initiators could not be judged: that takes 14 days of history.`
		: "Compared with the 28 days before the period.")));
	if (!facts.unusual.length)
		return;
	place.append(element("ul", {className: "unusual"}, ...facts.unusual.map((u) => element("li", null,
		element("p", {className: "what"}, shortName(u.initiator), " ", u.text),
		element("p", {className: "who"}, u.initiator, u.lun === undefined ? "" : `, LUN ${u.lun} of ${u.target}`),
		element("p", {className: "when"}, `${clock(u.from_ms)} to ${clock(u.time_ms)}, record ${u.seq}: sallyport audit show ${u.seq}`)))));
	if (facts.left_out.unusual)
		place.append(element("p", {className: "note"}, `and ${number(facts.left_out.unusual)} more`));
}

makeMeta(document.getElementById("meta"));
makeFigures(document.getElementById("figures"));
makeUnusual(document.getElementById("unusual"));
makeLogins(document.getElementById("logins-chart"));
makeBytes(document.getElementById("bytes-chart"));
makeMap(document.getElementById("map"));
makeTables(document.getElementById("tables"));
redraw();
