// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Searches search-index.js, whose rows are [title, address, kind, text]. All words must occur; a title that is
// or begins with what was typed comes first. Without script the field stays hidden, and all is reached by links.
"use strict";

const form = document.getElementById("search");
const input = document.getElementById("words");
const found = document.getElementById("found");
const shownAtMost = 20;

function rank([title, , , text], typed, words) {
    const name = title.toLowerCase();
    const all = `${name} ${text.toLowerCase()}`;
    if (!words.every((word) => all.includes(word))) return -1;
    if (name === typed) return 4;
    if (name.startsWith(typed)) return 3;
    if (text.toLowerCase().startsWith(typed)) return 2;
    return words.every((word) => name.includes(word)) ? 1 : 0;
}

function search() {
    const typed = input.value.trim().toLowerCase();
    found.replaceChildren();
    if (!typed) return;
    const words = typed.split(/\s+/);
    const rows = vmiIndex
        .map((row) => [rank(row, typed, words), row])
        .filter(([value]) => value >= 0)
        .sort(([a], [b]) => b - a);
    const count = document.createElement("p");
    count.textContent = rows.length === 1 ? "1 found" : `${rows.length} found`;
    const list = document.createElement("ul");
    for (const [, [title, address, kind, text]] of rows.slice(0, shownAtMost)) {
        const link = document.createElement("a");
        link.href = address;
        const name = document.createElement("b");
        name.textContent = title;
        const about = document.createElement("small");
        about.textContent = ` ${kind}${text ? `: ${text}` : ""}`;
        link.append(name, about);
        const item = document.createElement("li");
        item.append(link);
        list.append(item);
    }
    found.append(count, list);
}

form.hidden = false;
input.value = new URLSearchParams(location.search).get("q") ?? "";
search();
input.addEventListener("input", search);
form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = found.querySelector("a");
    if (first) first.click();
});
document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== input) {
        event.preventDefault();
        input.focus();
    } else if (event.key === "Escape") {
        input.value = "";
        search();
    }
});
