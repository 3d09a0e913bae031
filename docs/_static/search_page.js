// The page of search results: search.html?q=...
(() => {
  const form = document.querySelector("#search-page");
  const list = document.querySelector("#search-results");
  const status = document.querySelector("#search-status");
  const suffix = ".html";

  function marked(text, terms) {
    const fragment = document.createDocumentFragment();
    for (const part of text.split(/([\p{L}\p{N}_]+)/u)) {
      const isMatch = part && kzooSearch.terms(part).some((term) => terms.has(term));
      const node = document.createElement(isMatch ? "mark" : "span");
      node.textContent = part;
      fragment.append(isMatch ? node : document.createTextNode(part));
    }
    return fragment;
  }

  function show(question) {
    const results = question.trim() ? kzooSearch.rank(question).slice(0, 15) : [];
    const terms = new Set(kzooSearch.terms(question));
    list.replaceChildren(
      ...results.map((result) => {
        const item = document.createElement("li");
        const link = document.createElement("a");
        link.href = result.name + suffix + (result.anchor ? `#${result.anchor}` : "");
        link.textContent = result.title;
        const where = document.createElement("span");
        where.className = "where";
        where.textContent = [result.label, result.anchor && result.heading].filter(Boolean).join(" · ");
        const text = document.createElement("p");
        text.append(marked(result.text, terms));
        item.append(link, where, text);
        return item;
      }),
    );
    status.textContent = !question.trim()
      ? ""
      : results.length
        ? `${results.length} pages`
        : "No page has these words. Try fewer or other words.";
  }

  form.q.value = new URLSearchParams(location.search).get("q") || "";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show(form.q.value);
    const first = list.querySelector("a");
    if (first) first.focus();
  });
  form.q.addEventListener("input", () => {
    const address = form.q.value ? `?q=${encodeURIComponent(form.q.value)}` : location.pathname;
    history.replaceState(null, "", address);
    show(form.q.value);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const links = [...list.querySelectorAll("a")];
    const next = links.indexOf(document.activeElement) + step;
    if (!step || !(next < links.length)) return;
    event.preventDefault();
    (next < 0 ? form.q : links[next]).focus();
  });
  form.q.addEventListener("keydown", (event) => {
    const first = event.key === "ArrowDown" && list.querySelector("a");
    if (!first) return;
    event.preventDefault();
    first.focus();
  });
  show(form.q.value);
  if (!form.q.value) form.q.focus();
})();
