// The parts of a page that is one file: they are elements of it.

const contentOf = (id) => document.getElementById(id).textContent;

/** Return the stored model, its facts and weights, and a function that returns the address of the engine, for workers. */
export function readParts() {
  return {
    stored: JSON.parse(contentOf("model")),
    facts: JSON.parse(contentOf("facts")),
    weights: globalThis.kzooEngine.bytesOf(contentOf("weights")).buffer,
    greeting: "nothingLeaves",
    engineUrl: () => URL.createObjectURL(new Blob([contentOf("engine")], { type: "text/javascript" })),
  };
}
