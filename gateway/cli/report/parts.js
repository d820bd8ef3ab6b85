/* What the parts of the report share: elements, numbers and times in words. Every text of the facts is set as text. */
"use strict";

const facts = JSON.parse(document.getElementById("facts").textContent);

/* An element with properties and children; strings become text. */
function element(name, properties, ...children) {
	const made = document.createElement(name);

	for (const [key, value] of Object.entries(properties || {})) {
		if (key.startsWith("aria-") || key === "role" || key === "scope" || key === "for")
			made.setAttribute(key, value);
		else
			made[key] = value;
	}
	made.append(...children.filter((c) => c !== null && c !== undefined));
	return made;
}

function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function number(n) {
	return n.toLocaleString("en").replace(/,/g, "\u202f");
}

function bytes(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
	let unit = 0;

	for (; n >= 1024 && unit < units.length - 1; n /= 1024)
		unit++;
	return (unit && n < 10 ? n.toFixed(1) : Math.floor(n)) + "\u00a0" + units[unit];
}

/* What follows the last colon of an iSCSI name tells people apart. */
function shortName(name) {
	return name.slice(name.lastIndexOf(":") + 1) || name || "(no name)";
}

/* The report's zone is the one of whoever made it, and not of whoever reads it. */
const zone = (() => {
	const match = /([+-])(\d\d):(\d\d)$/.exec(facts.period.since_time);

	return match ? {name: "UTC" + match[0], minutes: (match[1] === "-" ? -1 : 1) * (match[2] * 60 + +match[3])}
		     : {name: "UTC", minutes: 0};
})();

/* A date whose local fields are those of the report's zone. */
function inZone(ms) {
	return new Date(ms + (zone.minutes + new Date(ms).getTimezoneOffset()) * 60000);
}

function clock(ms) {
	const d = inZone(ms), two = (n) => String(n).padStart(2, "0");

	return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/* Of a bucket, as exact as buckets are wide. */
function moment(at) {
	const ms = bucketTime(at);

	return clock(ms) + (facts.timeline.bucket_ms < 1000 ? "." + String(Math.floor(ms) % 1000).padStart(3, "0") : "");
}

/* The time of a bucket, and the middle of it in seconds for the charts. */
function bucketTime(at) {
	return facts.timeline.start_ms + at * facts.timeline.bucket_ms;
}

const bucketSeconds = Array.from({length: facts.timeline.buckets}, (_, at) => (bucketTime(at) + facts.timeline.bucket_ms / 2) / 1000);

/* Things to draw again when the colours or the width change. */
const drawings = [];

function redraw() {
	for (const draw of drawings)
		draw();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("beforeprint", () => {
	document.documentElement.dataset.paper = "";
	redraw();
});
addEventListener("afterprint", () => {
	delete document.documentElement.dataset.paper;
	redraw();
});
