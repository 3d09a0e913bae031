// The parts of a page that is a folder: files beside it.

import { say } from "./dom.js";

/** Return what `readParts` of `inline.js` returns. If a file is missing, the page says so. */
export async function readParts() {
  try {
    const [stored, facts, weights] = await Promise.all(["model.json", "facts.json", "weights.bin"].map(contentOf));
    return { stored: await stored.json(), facts: await facts.json(), weights: await weights.arrayBuffer(), greeting: "computesHere", engineUrl: () => "engine.js" };
  } catch (error) {
    say(document.getElementById("main"), "filesMissing");
    throw error;
  }
}

async function contentOf(file) {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file}: ${response.status}`);
  return response;
}
