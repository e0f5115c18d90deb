/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Filters of the support matrix. Without scripts the form stays hidden and all rows are shown. */
(function () {
    "use strict";
    const form = document.getElementById("filter");
    if (!form)
        return;
    const text = document.getElementById("filter-text");
    const kind = document.getElementById("filter-kind");
    const backend = document.getElementById("filter-backend");
    const groups = [...document.querySelectorAll("#matrix-table tbody")].map((body) => ({
        body,
        category: body.querySelector(".category").textContent.toLowerCase(),
        rows: [...body.querySelectorAll(".call")].map((row) => ({
            row,
            text: row.textContent.toLowerCase(),
            cells: [...row.querySelectorAll("td[data-kind]")].map((cell) => cell.dataset),
        })),
    }));

    function show() {
        const wanted = text.value.trim().toLowerCase();
        let shown = 0;
        let all = 0;
        for (const group of groups) {
            let here = 0;
            for (const each of group.rows) {
                const fits = (each.text.includes(wanted) || group.category.includes(wanted)) &&
                    each.cells.some((cell) => (!kind.value || cell.kind.split(" ").includes(kind.value)) &&
                        (!backend.value || cell.backend === backend.value));
                each.row.hidden = !fits;
                here += fits ? 1 : 0;
            }
            group.body.hidden = here === 0;
            shown += here;
            all += group.rows.length;
        }
        document.getElementById("filter-count").textContent = shown + " of " + all + " calls";
    }

    form.hidden = false;
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(show));
    show();
})();
