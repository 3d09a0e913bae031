// Sort and filter the table of presets.
(() => {
  const form = document.querySelector(".presets form");
  const table = document.querySelector(".presets table");
  const rows = [...table.tBodies[0].rows];
  const heads = [...table.tHead.rows[0].cells];

  function show() {
    const words = form.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const visible =
        words.every((word) => text.includes(word)) &&
        (!form.kind.value || row.cells[1].textContent === form.kind.value) &&
        (!form.task.value || row.cells[2].textContent === form.task.value);
      row.hidden = !visible;
      count += visible;
    }
    form.querySelector("output").textContent = `${count} of ${rows.length} presets`;
  }

  function sort(head) {
    const column = heads.indexOf(head);
    const isNumber = head.classList.contains("number");
    const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    const value = (row) => {
      const cell = row.cells[column];
      if (!isNumber) return cell.textContent;
      return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    };
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null); // unknown values are last
      return direction * (isNumber ? x - y : x.localeCompare(y));
    });
    table.tBodies[0].append(...rows);
  }

  heads.forEach((head) => head.querySelector("button").addEventListener("click", () => sort(head)));
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
