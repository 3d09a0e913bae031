// In every page. The menus of versions: the same page of another version, or its home page where it lacks the page.
for (const menu of document.querySelectorAll(".version-menu")) {
  const { root, page, version } = menu.dataset;
  menu.replaceChildren(
    ...kzooVersions.map(({ name }) => new Option(name, name, name === version, name === version)),
  );
  menu.addEventListener("change", () => {
    const { folder, pages } = kzooVersions.find(({ name }) => name === menu.value);
    location.href = `${root}${folder}${pages.includes(page) ? page : "index"}.html`;
  });
}

// The buttons of the theme that unfold a list of pages have no name.
for (const button of document.querySelectorAll("summary:has(.toctree-toggle)")) {
  const link = button.closest("li").querySelector("a");
  button.setAttribute("aria-label", `Pages below ${link.textContent.trim()}`);
}

// Sphinx writes the parameters of a long signature as a list of definitions without terms.
for (const list of document.querySelectorAll("dt.sig dl")) {
  for (const element of [list, ...list.children]) element.setAttribute("role", "none");
}
