// The form of a request and the panel of its result: one request at a time, with errors, progress and a cancel button.

import { make, Problem, say, setText } from "./dom.js";
import { ServerError } from "./server.js";

const PROGRESS_DELAY = 400; // milliseconds until progress is shown
const BRIEF_MARGIN = "0px 0px -140px"; // a result of which only this much is visible, behind the buttons, is out of view

/** Return a result panel: its `element`, and the functions that `requestForm` needs. */
export function newResultPanel() {
  const shown = make("div", { class: "shown" }, emptyResult());
  const status = make("p", { class: "unseen", role: "status" });
  const element = make("section", { class: "answer", label: "answer" }, make("h3", {}, make("span", { say: "answer" }), " ", make("span", { class: "earlier", say: "earlier" })), shown, status);
  // The result in a line, beside the buttons of the form while the panel is out of view; a click scrolls to the panel.
  const brief = make("button", { type: "button", class: "brief", hidden: true, click: () => element.scrollIntoView({ block: "center" }) });
  const observer = new IntersectionObserver(([entry]) => {
    isInView = entry.isIntersecting;
    updateBrief();
  }, { rootMargin: BRIEF_MARGIN });
  observer.observe(shown);
  let running = null, closed = false, isInView = true;

  function show(node) {
    shown.replaceChildren(node);
    element.classList.remove("old");
    updateBrief();
  }

  /** Mark the shown result as the result of an earlier input. */
  function markOutdated() {
    element.classList.toggle("old", shown.firstChild.className !== "empty");
    updateBrief();
  }

  function clear() {
    show(emptyResult());
    setText(status);
    setText(brief);
    updateBrief();
  }

  function updateBrief() {
    brief.hidden = isInView || !brief.textContent;
    brief.classList.toggle("old", element.classList.contains("old"));
  }

  return {
    element,
    status,
    show,
    markOutdated,
    clear,
    stop: () => running?.abort(),
    close() {
      closed = true;
      running?.abort();
      observer.disconnect();
    },
    /** Run `work` for a form and show its result; a running request of this or another form is aborted. */
    async run(form, work) {
      if (closed) return;
      running?.abort();
      const controller = new AbortController();
      running = controller;
      form.setBusy(true);
      markOutdated();
      try {
        const { node, summary } = await work(controller.signal, (done, all) => {
          if (running === controller) form.showProgress(done, all);
        });
        if (running !== controller) return;
        say(status, ...summary);
        say(brief, ...summary);
        form.submit.before(brief);
        show(node);
      } catch (error) {
        if (running !== controller || closed) return;
        if (error.name === "AbortError" || controller.signal.aborted) form.showMessage("cancelled");
        else {
          form.showError(error);
          clear();
        }
      } finally {
        if (running === controller) {
          running = null;
          form.setBusy(false);
        }
      }
    },
  };
}

function emptyResult() {
  return make("p", { class: "empty", say: "nothing" });
}

/**
 * Return a form with `body` above the buttons. On submit, `work` is called with the input that `read` returns, an abort
 * signal, and a function that shows how many rows are done.
 *
 * `read` throws a `Problem` if the input is not valid; its element `at` gets the focus.
 */
export function requestForm(panel, body, read, work, key = "ask") {
  const error = make("p", { class: "error", role: "alert" });
  const submit = make("button", { type: "submit", class: "primary", say: key });
  const cancel = make("button", { type: "button", class: "quiet", say: "cancel", hidden: true, click: panel.stop });
  const busy = make("span", { class: "busy", hidden: true });
  const actions = make("div", { class: "actions" }, submit, cancel, busy);
  const form = make("form", { novalidate: true }, ...body, make("div", { class: "bar" }, error, actions));
  let timer = null, invalid = null, since = 0, rows = null; // `rows`: those that are done, and all

  function clearError() {
    setText(error);
    invalid?.removeAttribute("aria-invalid");
    invalid?.removeAttribute("aria-describedby");
    invalid = null;
  }

  const controls = {
    element: form,
    actions,
    submit,
    setBusy(isBusy) {
      clearTimeout(timer);
      rows = null;
      if (isBusy) clearError();
      if (!isBusy) {
        for (const element of [cancel, busy]) element.hidden = true;
        form.removeAttribute("aria-busy");
        return;
      }
      since = since && form.hasAttribute("aria-busy") ? since : performance.now();
      form.setAttribute("aria-busy", "true");
      const tick = () => {
        const seconds = Math.floor((performance.now() - since) / 1000);
        if (!rows) say(busy, seconds ? "working" : "begun", { n: seconds });
        if (busy.hidden) say(panel.status, "begun");
        for (const element of [cancel, busy]) element.hidden = false;
        timer = setTimeout(tick, 1000);
      };
      timer = setTimeout(tick, PROGRESS_DELAY);
    },
    showProgress(done, all) {
      rows = { n: done, all };
      say(busy, "rowsDone", rows);
    },
    showMessage(key) {
      clearError();
      say(error, key);
    },
    showError(failure) {
      clearError();
      if (failure instanceof Problem) {
        say(error, failure.key, failure.values);
        invalid = failure.at;
      } else if (failure instanceof ServerError) {
        setText(error, failure.message);
        error.lang = "en"; // the message of the server is in English
      } else {
        console.error(failure);
        say(error, "fault");
      }
      if (failure instanceof Problem) error.removeAttribute("lang");
      if (!invalid) return;
      error.id ||= `error-${Math.random().toString(36).slice(2)}`;
      invalid.setAttribute("aria-invalid", "true");
      invalid.setAttribute("aria-describedby", error.id);
      invalid.focus();
    },
  };
  form.addEventListener("input", () => panel.markOutdated());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let input;
    try {
      input = await read();
    } catch (failure) {
      panel.stop();
      panel.clear();
      controls.showError(failure);
      return;
    }
    await panel.run(controls, (signal, progress) => work(input, signal, progress));
  });
  return controls;
}
