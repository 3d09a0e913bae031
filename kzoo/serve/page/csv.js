// CSV for display only: for predictions, the server parses the same text itself.

const DELIMITERS = [",", ";", "\t", "|"];

/** Return the column names (`head`) and the rows of a CSV text. */
export function readCsv(text) {
  const content = text.replace(/^\uFEFF/, ""); // without a byte order mark
  const first = content.split(/\r?\n/, 1)[0];
  const delimiter = DELIMITERS.reduce((best, delimiter) => (first.split(delimiter).length > first.split(best).length ? delimiter : best));
  const rows = parseRows(content, delimiter).filter((row) => row.length > 1 || row[0].trim() !== "");
  return { head: rows[0] ?? [], rows: rows.slice(1) };
}

function parseRows(text, delimiter) {
  const rows = [];
  let row = [], cell = "", quoted = false;
  for (let position = 0; position < text.length; position += 1) {
    const character = text[position];
    if (quoted) {
      if (character !== '"') cell += character;
      else if (text[position + 1] === '"') { cell += '"'; position += 1; }
      else quoted = false;
    } else if (character === '"' && cell.trim() === "") { quoted = true; cell = ""; }
    else if (character === delimiter) { row.push(cell); cell = ""; }
    else if (character === "\n") { row.push(cell.replace(/\r$/, "")); rows.push(row); row = []; cell = ""; }
    else cell += character;
  }
  if (cell !== "" || row.length) rows.push([...row, cell.replace(/\r$/, "")]);
  return rows;
}

/** Return a CSV text of rows: a list of objects, or one object. */
export function writeCsv(objects) {
  const rows = Array.isArray(objects) ? objects : [objects];
  const head = Object.keys(rows[0] ?? {});
  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head.map(quoted).join(","), ...rows.map((row) => head.map((name) => quoted(row[name])).join(","))].join("\n") + "\n";
}
