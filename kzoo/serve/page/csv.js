// CSV, as far as it is shown: the server reads the same text by itself, and its reading counts.

const SIGNS = [",", ";", "\t", "|"];

/** Return the head and the rows of a CSV text. */
export function readCsv(text) {
  const lines = text.replace(/^\uFEFF/, "");
  const first = lines.split(/\r?\n/, 1)[0];
  const sign = SIGNS.reduce((best, one) => (first.split(one).length > first.split(best).length ? one : best));
  const rows = cells(lines, sign).filter((row) => row.length > 1 || row[0].trim() !== "");
  return { head: rows[0] ?? [], rows: rows.slice(1) };
}

function cells(text, sign) {
  const rows = [];
  let row = [], cell = "", quoted = false;
  for (let place = 0; place < text.length; place += 1) {
    const letter = text[place];
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (text[place + 1] === '"') { cell += '"'; place += 1; }
      else quoted = false;
    } else if (letter === '"' && cell.trim() === "") { quoted = true; cell = ""; }
    else if (letter === sign) { row.push(cell); cell = ""; }
    else if (letter === "\n") { row.push(cell.replace(/\r$/, "")); rows.push(row); row = []; cell = ""; }
    else cell += letter;
  }
  if (cell !== "" || row.length) rows.push([...row, cell.replace(/\r$/, "")]);
  return rows;
}

/** Return rows, a list of objects or one object, as a CSV text. */
export function writeCsv(given) {
  const rows = Array.isArray(given) ? given : [given];
  const head = Object.keys(rows[0] ?? {});
  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head.map(quoted).join(","), ...rows.map((row) => head.map((name) => quoted(row[name])).join(","))].join("\n") + "\n";
}
