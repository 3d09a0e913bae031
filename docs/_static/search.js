// The search: BM25 over an index that is loaded as a script, so that it works from a folder, too.
const kzooSearch = (() => {
  // Words of users -> words of the pages; they count half.
  const GROUPS = [
    ["photo", "picture", "image", "jpg", "png", "jpeg"],
    ["csv", "table", "spreadsheet", "dataframe", "tabular", "excel", "xlsx"],
    ["gpu", "cuda"],
    ["column", "feature", "variable"],
    ["row", "sample", "example", "observation", "record"],
    ["class", "category", "label"],
    ["imbalanced", "imbalance", "unbalanced", "rare", "skewed", "minority"],
    ["predict", "inference", "infer"],
    ["forecast", "forecasting"],
    ["series", "timeseries", "temporal"],
    ["missing", "nan", "null", "na", "empty", "impute"],
    ["ram", "memory", "oom"],
    ["phone", "mobile", "android", "ios", "iphone"],
    ["overfit", "overfitting", "generalize", "generalise"],
    ["tune", "hyperparameter", "hyperparameters", "hpo", "optuna"],
    ["resume", "continue", "interrupted", "killed", "restart"],
    ["reproduce", "reproducible", "deterministic", "determinism", "seed"],
    ["interval", "uncertainty", "confidence", "conformal", "quantile"],
    ["explain", "shap", "importance", "interpret", "explanation", "attribution"],
    ["weight", "weights"],
    ["docker", "container", "kubernetes"],
    ["serve", "server", "api", "http", "rest"],
    ["deploy", "deployment", "production"],
    ["language", "chinese", "german", "french", "multilingual", "unicode"],
    ["encoding", "utf", "codec", "decode", "unicode"],
    ["slow", "slower", "fast", "speed", "long", "time"],
    ["mislabeled", "mislabelled", "noisy", "wrong"],
    ["duplicate", "leak", "leakage", "leaking"],
    ["group", "subject", "patient", "individual", "person", "customer"],
    ["subgroup", "subgroups", "fair", "fairness", "gender", "women", "biased"],
    ["covariate", "covariates", "exogenous", "regressor", "regressors"],
    ["augmentation", "augment", "mixup", "cutmix"],
    ["pretrained", "finetune", "finetuning", "transfer"],
    ["quantize", "quantization", "int8", "float16"],
    ["sklearn", "scikit"],
    ["browser", "html", "webpage"],
    ["error", "exception", "fail", "crash"],
    ["result", "score", "metric"],
    ["ensemble", "stacking", "bagging"],
    ["gap", "gaps", "irregular", "frequency"],
    ["stop", "earlystopping"],
    ["different", "differ", "vary"],
    ["several", "multi", "multiple", "many"],
    ["new", "fresh", "additional", "incremental"],
  ];
  const K1 = 3;
  const SYNONYM = 0.4;
  const PREFIX = 0.5;
  const stemmer = new PorterStemmer();
  const stem = (word) => stemmer.stemWord(word);
  const stop = new Set(kzooIndex.stop);
  const vocabulary = kzooIndex.terms;
  const synonyms = new Map();
  for (const group of GROUPS) {
    const stems = [...new Set(group.map(stem))];
    for (const each of stems) {
      const others = synonyms.get(each) || new Set();
      stems.forEach((other) => other !== each && others.add(other));
      synonyms.set(each, others);
    }
  }

  // The stems of a question, as docs/_extensions/search_index.py makes those of pages.
  function terms(text) {
    const result = [];
    for (const [word] of text.matchAll(/[\p{L}\p{N}]+(?:[_.][\p{L}\p{N}]+)*/gu)) {
      const parts = word.split(/[_.]|(?<=[a-z])(?=[A-Z])/).filter(Boolean);
      for (const part of new Set([word, ...parts])) {
        const lower = part.toLowerCase();
        if (!stop.has(lower)) result.push(stem(lower));
      }
    }
    return result;
  }

  // Terms of the vocabulary for a term of a question -> their weights.
  function expanded(term, isLast) {
    const weights = new Map();
    if (vocabulary[term]) weights.set(term, 1);
    for (const other of synonyms.get(term) || []) {
      if (vocabulary[other] && !weights.has(other)) weights.set(other, SYNONYM);
    }
    if (!vocabulary[term] || (isLast && term.length > 2)) {
      for (const other of Object.keys(vocabulary)) {
        if (weights.has(other) || term.length < 3) continue;
        if (other.includes(" ")) continue; // a phrase
        if (other.startsWith(term)) weights.set(other, PREFIX);
        else if (!vocabulary[term] && !weights.size && near(term, other)) weights.set(other, PREFIX);
      }
    }
    return weights;
  }

  // Whether two words differ by one letter that was added, left out, changed or swapped.
  function near(a, b) {
    if (a.length < 5 || Math.abs(a.length - b.length) > 1 || a[0] !== b[0]) return false;
    let start = 0;
    while (start < a.length && a[start] === b[start]) start++;
    const rest = (word, skip) => word.slice(start + skip);
    return (
      rest(a, 1) === rest(b, 1) ||
      rest(a, 1) === rest(b, 0) ||
      rest(a, 0) === rest(b, 1) ||
      (a[start] === b[start + 1] && a[start + 1] === b[start] && rest(a, 2) === rest(b, 2))
    );
  }

  // Pages for a question, best first: {name, title, label, anchor, heading, text, score}.
  function rank(question) {
    const { pages } = kzooIndex;
    const words = terms(question);
    const asked = [...new Set(words)];
    const phrases = new Set(words.slice(1).map((word, number) => `${words[number]} ${word}`));
    const scores = new Map();
    const wanted = new Set();
    const all = [
      ...asked.map((term, number) => expanded(term, number === asked.length - 1)),
      ...[...phrases].filter((phrase) => vocabulary[phrase]).map((phrase) => new Map([[phrase, 1]])),
    ];
    all.forEach((weights) => {
      const best = new Map(); // the synonyms of a term count once
      for (const [other, weight] of weights) {
        const postings = vocabulary[other];
        const idf = Math.log(1 + (pages.length - postings.length / 2 + 0.5) / (postings.length / 2 + 0.5));
        if (weight >= SYNONYM) wanted.add(other);
        for (let i = 0; i < postings.length; i += 2) {
          const frequency = postings[i + 1] / 10;
          const score = (weight * idf * frequency * (K1 + 1)) / (frequency + K1);
          best.set(postings[i], Math.max(score, best.get(postings[i]) || 0));
        }
      }
      for (const [page, score] of best) scores.set(page, (scores.get(page) || 0) + score);
    });
    return [...scores]
      .map(([page, score]) => [page, score * pages[page][3]])
      .sort((a, b) => b[1] - a[1])
      .slice(0, 30)
      .map(([page, score]) => {
        const [name, title, label, , sections] = pages[page];
        const [anchor, heading, text] = section(sections, wanted);
        return { name, title, label, anchor, heading, text, score };
      });
  }

  // The section in which most terms occur; the first of equals.
  function section(sections, wanted) {
    let best = sections[0];
    let most = -1;
    for (const each of sections) {
      const found = new Set([...terms(each[1]), ...terms(each[2])].filter((term) => wanted.has(term)));
      if (found.size > most) [best, most] = [each, found.size];
    }
    return best;
  }

  return { rank, terms };
})();
