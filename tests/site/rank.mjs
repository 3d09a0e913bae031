// Answer questions with the search of a built site: node rank.mjs SITE < QUESTIONS.json > PAGES.json
import { readFileSync } from "node:fs";
import { join } from "node:path";
import vm from "node:vm";

const read = (name) => readFileSync(join(process.argv[2], "_static", name), "utf-8");
const names = ["base-stemmer.js", "porter-stemmer.js", "search_index.js", "search.js"];
const context = vm.createContext({});
const { search, stem } = vm.runInContext(
  `${names.map(read).join("\n;\n")};({ search: kzooSearch, stem: (word) => new PorterStemmer().stemWord(word) })`,
  context,
);
const { questions = [], words = [] } = JSON.parse(readFileSync(0, "utf-8"));
const pages = questions.map((question) => Array.from(search.rank(question), (result) => result.name));
console.log(JSON.stringify({ pages, stems: words.map(stem) }));
