// Where a question is put and its answer shown: one at a time, each with its errors, its waiting, and a way out.

import { make, plain, Problem, say } from "./dom.js";
import { Refusal } from "./server.js";

const SOON = 400; // milliseconds after which somebody wonders

/** Return a desk: `element` for answers, and what `question` needs of it. */
export function newDesk() {
  const shown = make("div", { class: "shown" }, nothing());
  const status = make("p", { class: "unseen", role: "status" });
  const element = make("section", { class: "answer", label: "answer" }, make("h3", {}, make("span", { say: "answer" }), " ", make("span", { class: "earlier", say: "earlier" })), shown, status);
  let going = null, closed = false;

  function show(node) {
    shown.replaceChildren(node);
    element.classList.remove("old");
  }

  /** Say of the answer that stands there that it is to an earlier input. */
  function old() {
    element.classList.toggle("old", shown.firstChild.className !== "empty");
  }

  function clear() {
    show(nothing());
    plain(status);
  }

  return {
    element,
    status,
    show,
    old,
    clear,
    stop: () => going?.abort(),
    close() {
      closed = true;
      going?.abort();
    },
    /** Do one thing for a form; what is still at work for another, or the same, is given up. */
    async run(form, work) {
      if (closed) return;
      going?.abort();
      const mine = new AbortController();
      going = mine;
      form.waits(true);
      old();
      try {
        const { node, summary } = await work(mine.signal);
        if (going !== mine) return;
        show(node);
        say(status, ...summary);
      } catch (error) {
        if (going !== mine || closed) return;
        if (error.name === "AbortError" || mine.signal.aborted) form.tells("cancelled");
        else {
          form.fails(error);
          clear();
        }
      } finally {
        if (going === mine) {
          going = null;
          form.waits(false);
        }
      }
    },
  };
}

function nothing() {
  return make("p", { class: "empty", say: "nothing" });
}

/**
 * Return a form: `body` above the buttons; `work` is called with what `read` gives and a signal that it is over.
 *
 * `read` throws a `Problem` where something is to be put right; its `at` gets the focus.
 */
export function question(desk, body, read, work, key = "ask") {
  const error = make("p", { class: "error", role: "alert" });
  const submit = make("button", { type: "submit", class: "primary", say: key });
  const cancel = make("button", { type: "button", class: "quiet", say: "cancel", hidden: true, click: desk.stop });
  const busy = make("span", { class: "busy", hidden: true });
  const actions = make("div", { class: "actions" }, submit, cancel, busy);
  const form = make("form", { novalidate: true }, ...body, error, actions);
  let timer = null, wrong = null, since = 0;

  function forgive() {
    plain(error);
    wrong?.removeAttribute("aria-invalid");
    wrong?.removeAttribute("aria-describedby");
    wrong = null;
  }

  const ways = {
    element: form,
    actions,
    waits(does) {
      clearTimeout(timer);
      if (does) forgive();
      if (!does) {
        for (const one of [cancel, busy]) one.hidden = true;
        form.removeAttribute("aria-busy");
        return;
      }
      since = since && form.hasAttribute("aria-busy") ? since : performance.now();
      form.setAttribute("aria-busy", "true");
      const tick = () => {
        const seconds = Math.floor((performance.now() - since) / 1000);
        say(busy, seconds ? "working" : "begun", { n: seconds });
        if (busy.hidden) say(desk.status, "begun");
        for (const one of [cancel, busy]) one.hidden = false;
        timer = setTimeout(tick, 1000);
      };
      timer = setTimeout(tick, SOON);
    },
    tells(key) {
      forgive();
      say(error, key);
    },
    fails(failure) {
      forgive();
      if (failure instanceof Problem) {
        say(error, failure.key, failure.values);
        wrong = failure.at;
      } else if (failure instanceof Refusal) {
        plain(error, failure.message);
        error.lang = "en"; // the server's own words
      } else {
        console.error(failure);
        say(error, "fault");
      }
      if (failure instanceof Problem) error.removeAttribute("lang");
      if (!wrong) return;
      error.id ||= `error-${Math.random().toString(36).slice(2)}`;
      wrong.setAttribute("aria-invalid", "true");
      wrong.setAttribute("aria-describedby", error.id);
      wrong.focus();
    },
  };
  form.addEventListener("input", () => desk.old());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let given;
    try {
      given = await read();
    } catch (failure) {
      desk.stop();
      desk.clear();
      ways.fails(failure);
      return;
    }
    await desk.run(ways, (signal) => work(given, signal));
  });
  return ways;
}
