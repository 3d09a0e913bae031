// The network of a page: its steps (see `kzoo/export/program/javascript.py`) as functions over Float32Array.

const WIDTH = 4; // elements of a convolution's channel that are computed together
const MANY = 4; // channels, for which it is worth copying what the windows see

const FUNCTIONS = {
  copy: (a) => a,
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  whole_div: (a, b) => Math.trunc(a / b),
  pow: (a, b) => a ** b,
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  equal: (a, b) => Number(a === b),
  less: (a, b) => Number(a < b),
  less_equal: (a, b) => Number(a <= b),
  greater: (a, b) => Number(a > b),
  greater_equal: (a, b) => Number(a >= b),
  and: (a, b) => Number(a !== 0 && b !== 0),
  or: (a, b) => Number(a !== 0 || b !== 0),
  not: (a) => Number(a === 0),
  truth: (a) => Number(a !== 0),
  truncate: (a) => Math.trunc(a),
  where: (a, b, c) => (a !== 0 ? b : c),
  relu: (a) => (a < 0 ? 0 : a),
  leaky_relu: (a, _, alpha) => (a < 0 ? alpha * a : a),
  elu: (a, _, alpha) => (a < 0 ? alpha * Math.expm1(a) : a),
  sqrt: (a) => Math.sqrt(a),
  exp: (a) => Math.exp(a),
  log: (a) => Math.log(a),
  tanh: (a) => Math.tanh(a),
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  softplus: (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))),
  abs: (a) => Math.abs(a),
  neg: (a) => -a,
  sign: (a) => Math.sign(a),
  reciprocal: (a) => 1 / a,
  erf,
  floor: (a) => Math.floor(a),
  ceil: (a) => Math.ceil(a),
  sin: (a) => Math.sin(a),
  cos: (a) => Math.cos(a),
};

// Abramowitz and Stegun 7.1.6: all terms are positive
function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  let term = size, sum = size;
  for (let n = 1; term > 1e-10 * sum; n += 1) {
    term *= 2 * size * size / (2 * n + 1);
    sum += term;
  }
  return Math.sign(x) * 2 / Math.sqrt(Math.PI) * Math.exp(-size * size) * sum;
}

// Return a function of a row (Float32Array) that returns the outputs (Float32Array).
export function network(description, weights) {
  const x = new Float32Array(description.inputs), y = new Float32Array(description.outputs);
  const arrays = [new Float32Array(description.memory), new Float32Array(weights), x, y];
  const run = sequence(description.steps, arrays);
  return (row) => {
    if (row.length !== x.length) throw new RangeError(`A row has ${row.length} numbers, and the network takes ${x.length}.`);
    x.set(row);
    run();
    return y.slice();
  };
}

function sequence(steps, arrays) {
  const functions = steps.map((step) => KERNELS[step.kind](step, arrays));
  return () => {
    for (let i = 0; i < functions.length; i += 1) functions[i]();
  };
}

// Return the elements at which the innermost loop starts, one array for each view.
function starts({lengths, strides}, firsts, axes = lengths.length) {
  const count = lengths.slice(0, axes).reduce((product, length) => product * length, 1);
  return firsts.map((first, view) => {
    const out = new Int32Array(count);
    for (let i = 0; i < count; i += 1) {
      let rest = i, at = first;
      for (let axis = axes - 1; axis >= 0; axis -= 1) {
        at += rest % lengths[axis] * strides[view][axis];
        rest = Math.floor(rest / lengths[axis]);
      }
      out[i] = at;
    }
    return out;
  });
}

const KERNELS = {
  map(step, arrays) {
    const f = FUNCTIONS[step.function];
    const views = [step.out, ...step.inputs];
    const inner = step.lengths.length - 1, length = inner < 0 ? 1 : step.lengths[inner];
    const begins = starts(step, views.map((view) => view[1]), Math.max(inner, 0));
    const [y, a, b, c] = views.map((view) => arrays[view[0]]);
    const [p, q, r, s] = begins;
    const [dy, da, db, dc] = step.strides.map((strides) => inner < 0 ? 0 : strides[inner]);
    if (step.function === "copy") {
      return () => {
        for (let o = 0; o < p.length; o += 1) {
          for (let i = 0, k = p[o], m = q[o]; i < length; i += 1, k += dy, m += da) y[k] = a[m];
        }
      };
    }
    if (views.length === 2) {
      const {alpha} = step;
      return () => {
        for (let o = 0; o < p.length; o += 1) {
          for (let i = 0, k = p[o], m = q[o]; i < length; i += 1, k += dy, m += da) y[k] = f(a[m], 0, alpha);
        }
      };
    }
    if (views.length === 3) {
      return () => {
        for (let o = 0; o < p.length; o += 1) {
          for (let i = 0, k = p[o], m = q[o], n = r[o]; i < length; i += 1, k += dy, m += da, n += db) y[k] = f(a[m], b[n]);
        }
      };
    }
    return () => {
      for (let o = 0; o < p.length; o += 1) {
        for (let i = 0, k = p[o], m = q[o], n = r[o], t = s[o]; i < length; i += 1, k += dy, m += da, n += db, t += dc) {
          y[k] = f(a[m], b[n], c[t]);
        }
      }
    };
  },

  reduce(step, arrays) {
    const y = arrays[step.out[0]], x = arrays[step.inputs[0][0]];
    const [p, q] = starts(step.kept, [step.out[1], step.inputs[0][1]]);
    const [inner] = starts(step.reduced, [0]);
    const first = {sum: 0, mean: 0, prod: 1, max: -Infinity, min: Infinity}[step.function];
    const f = {sum: FUNCTIONS.add, mean: FUNCTIONS.add, prod: FUNCTIONS.mul, max: FUNCTIONS.max, min: FUNCTIONS.min}[step.function];
    const factor = step.function === "mean" ? 1 / inner.length : 1;
    return () => {
      for (let o = 0; o < p.length; o += 1) {
        let value = first;
        for (let i = 0; i < inner.length; i += 1) value = f(value, x[q[o] + inner[i]]);
        y[p[o]] = value * factor;
      }
    };
  },

  matmul(step, arrays) {
    const {rows, inner, columns} = step;
    const [y, a, b] = [step.out, ...step.inputs].map((view) => arrays[view[0]]);
    const [p, q, r] = starts(step.batch, [step.out, ...step.inputs].map((view) => view[1]));
    const sums = new Float64Array(columns);
    return () => {
      for (let o = 0; o < p.length; o += 1) {
        for (let i = 0; i < rows; i += 1) product(a, q[o] + i * inner, b, r[o], sums, y, p[o] + i * columns, inner, columns);
      }
    };
  },

  convolution(step, arrays) {
    const [groups, channels, outs, height, width, rows, columns, kh, kw, sh, sw, ph, pw, dh, dw] = step.sizes;
    const [y, x, w, bias] = [step.out, ...step.inputs].map((view) => arrays[view[0]]);
    const [y0, x0, w0, b0] = [step.out, ...step.inputs].map((view) => view[1]);
    const plane = height * width, size = rows * columns;
    if (outs >= MANY) {
      const inner = channels * kh * kw, panel = new Float64Array(inner * WIDTH);
      return () => {
        for (let group = 0; group < groups; group += 1) {
          const channel = group * outs, source = x0 + group * channels * plane, to = y0 + channel * size;
          for (let j = 0; j < size; j += WIDTH) {
            const wide = Math.min(WIDTH, size - j);
            packWindows(x, source, step.sizes, j, wide, panel);
            timesPanel(w, w0 + channel * inner, panel, y, to + j, outs, inner, size, wide, bias, b0 + channel);
          }
        }
      };
    }
    const sums = new Float64Array(size);
    return () => {
      for (let channel = 0; channel < groups * outs; channel += 1) {
        const source = x0 + Math.floor(channel / outs) * channels * plane;
        sums.fill(bias === undefined ? 0 : bias[b0 + channel]);
        for (let c = 0; c < channels; c += 1) {
          const from = source + c * plane, k = w0 + (channel * channels + c) * kh * kw;
          for (let u = 0; u < kh; u += 1) {
            for (let v = 0; v < kw; v += 1) {
              // of the output, the rows and columns whose input is inside
              const top = u * dh - ph, left = v * dw - pw;
              const i0 = Math.max(0, Math.ceil(-top / sh)), i1 = Math.min(rows, Math.floor((height - 1 - top) / sh) + 1);
              const j0 = Math.max(0, Math.ceil(-left / sw)), j1 = Math.min(columns, Math.floor((width - 1 - left) / sw) + 1);
              addWindow(x, from + top * width + left, w[k + u * kw + v], sums, i0, i1, j0, j1, sh * width, sw, columns);
            }
          }
        }
        y.set(sums, y0 + channel * size);
      }
    };
  },

  pool(step, arrays) {
    const [channels, height, width, rows, columns, kh, kw, sh, sw, ph, pw, dh, dw] = step.sizes;
    const y = arrays[step.out[0]], x = arrays[step.inputs[0][0]], isMean = step.function === "mean";
    const y0 = step.out[1], x0 = step.inputs[0][1];
    return () => {
      for (let channel = 0; channel < channels; channel += 1) {
        for (let i = 0; i < rows; i += 1) {
          for (let j = 0; j < columns; j += 1) {
            let value = isMean ? 0 : -Infinity, count = 0;
            for (let u = 0; u < kh; u += 1) {
              const row = i * sh - ph + u * dh;
              if (row < 0 || row >= height) continue;
              for (let v = 0; v < kw; v += 1) {
                const column = j * sw - pw + v * dw;
                if (column < 0 || column >= width) continue;
                const element = x[x0 + (channel * height + row) * width + column];
                value = isMean ? value + element : Math.max(value, element);
                count += 1;
              }
            }
            const all = step.counts_padding ? kh * kw : count;
            y[y0 + (channel * rows + i) * columns + j] = isMean ? value / all : count ? value : 0;
          }
        }
      }
    };
  },

  softmax({out, inputs, outer, length, inner}, arrays) {
    const y = arrays[out[0]], x = arrays[inputs[0][0]];
    return () => {
      for (let o = 0; o < outer; o += 1) {
        for (let i = 0; i < inner; i += 1) {
          const from = inputs[0][1] + o * length * inner + i, to = out[1] + o * length * inner + i;
          let largest = -Infinity, total = 0;
          for (let k = 0; k < length; k += 1) largest = Math.max(largest, x[from + k * inner]);
          for (let k = 0; k < length; k += 1) {
            const value = Math.exp(x[from + k * inner] - largest);
            y[to + k * inner] = value;
            total += value;
          }
          for (let k = 0; k < length; k += 1) y[to + k * inner] /= total;
        }
      }
    };
  },

  gather({out, inputs, outer, rows, inner, count}, arrays) {
    const y = arrays[out[0]], [x, indices] = inputs.map((view) => arrays[view[0]]);
    return () => {
      for (let o = 0; o < outer; o += 1) {
        for (let i = 0; i < count; i += 1) {
          let row = Math.trunc(indices[inputs[1][1] + i]);
          if (row < 0) row += rows;
          row = Math.min(Math.max(row, 0), rows - 1);
          const from = inputs[0][1] + (o * rows + row) * inner, to = out[1] + (o * count + i) * inner;
          for (let k = 0; k < inner; k += 1) y[to + k] = x[from + k];
        }
      }
    };
  },

  cumulative_sum({out, inputs, outer, length, inner, exclusive, reverse}, arrays) {
    const y = arrays[out[0]], x = arrays[inputs[0][0]];
    return () => {
      for (let o = 0; o < outer; o += 1) {
        for (let i = 0; i < inner; i += 1) {
          let sum = 0;
          for (let k = 0; k < length; k += 1) {
            const at = (o * length + (reverse ? length - 1 - k : k)) * inner + i;
            const value = x[inputs[0][1] + at];
            y[out[1] + at] = exclusive ? sum : sum + value;
            sum += value;
          }
        }
      }
    };
  },

  loop({out, body, carried, collected, count}, arrays) {
    const run = sequence(body, arrays), number = arrays[out[0]];
    const copies = [...collected.map((pair) => [...pair, pair[2]]), ...carried.map((pair) => [...pair, 0])];
    return () => {
      for (let t = 0; t < count; t += 1) {
        number[out[1]] = t;
        run();
        for (let c = 0; c < copies.length; c += 1) {
          const [[target, to], [source, from], size, step] = copies[c];
          for (let i = 0; i < size; i += 1) arrays[target][to + t * step + i] = arrays[source][from + i];
        }
      }
    };
  },
};

// y[at...] = a (inner,) times b (inner, columns)
function product(a, q, b, r, sums, y, at, inner, columns) {
  sums.fill(0);
  let k = 0;
  for (; k + 4 <= inner; k += 4) {
    const v0 = a[q + k], v1 = a[q + k + 1], v2 = a[q + k + 2], v3 = a[q + k + 3];
    if (v0 === 0 && v1 === 0 && v2 === 0 && v3 === 0) continue;
    let m0 = r + k * columns, m1 = m0 + columns, m2 = m1 + columns, m3 = m2 + columns;
    for (let j = 0; j < columns; j += 1) {
      sums[j] += v0 * b[m0] + v1 * b[m1] + v2 * b[m2] + v3 * b[m3];
      m0 += 1; m1 += 1; m2 += 1; m3 += 1;
    }
  }
  for (; k < inner; k += 1) {
    const v = a[q + k], m = r + k * columns;
    for (let j = 0; j < columns; j += 1) sums[j] += v * b[m + j];
  }
  for (let j = 0; j < columns; j += 1) y[at + j] = sums[j];
}

// Copy what the windows of a convolution see at some elements of its output, from `begin` on, into a panel (inner, WIDTH).
function packWindows(x, first, sizes, begin, wide, panel) {
  const [, channels, , height, width, , columns, kh, kw, sh, sw, ph, pw, dh, dw] = sizes;
  for (let j = 0; j < WIDTH; j += 1) {
    const i = begin + j, top = Math.floor(i / columns) * sh - ph, left = i % columns * sw - pw;
    let at = j;
    for (let c = 0, from = first; c < channels; c += 1, from += height * width) {
      for (let u = 0; u < kh; u += 1) {
        const row = top + u * dh, inside = j < wide && row >= 0 && row < height;
        for (let v = 0; v < kw; v += 1, at += WIDTH) {
          const column = left + v * dw;
          panel[at] = inside && column >= 0 && column < width ? x[from + row * width + column] : 0;
        }
      }
    }
  }
}

// y (rows, wide), whose rows are `apart` elements apart, = a (rows, inner) times a panel, plus the bias of each row.
// Two rows at a time: eight sums stay in registers.
function timesPanel(a, q, panel, y, to, rows, inner, apart, wide, bias, b0) {
  for (let i = 0; i < rows; i += 2) {
    const both = i + 1 < rows, first = q + i * inner, second = both ? first + inner : first;
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
    for (let k = 0, m = 0; k < inner; k += 1, m += WIDTH) {
      const x0 = panel[m], x1 = panel[m + 1], x2 = panel[m + 2], x3 = panel[m + 3];
      const v = a[first + k], w = a[second + k];
      s0 += v * x0; s1 += v * x1; s2 += v * x2; s3 += v * x3;
      t0 += w * x0; t1 += w * x1; t2 += w * x2; t3 += w * x3;
    }
    writeRow(y, to + i * apart, bias === undefined ? 0 : bias[b0 + i], wide, s0, s1, s2, s3);
    if (both) writeRow(y, to + (i + 1) * apart, bias === undefined ? 0 : bias[b0 + i + 1], wide, t0, t1, t2, t3);
  }
}

function writeRow(y, at, c, wide, s0, s1, s2, s3) {
  y[at] = s0 + c;
  if (wide > 1) y[at + 1] = s1 + c;
  if (wide > 2) y[at + 2] = s2 + c;
  if (wide > 3) y[at + 3] = s3 + c;
}

// sums[i, j] += weight * x[i * down + j * right] of a window
function addWindow(x, first, weight, sums, i0, i1, j0, j1, down, right, columns) {
  for (let i = i0; i < i1; i += 1) {
    let from = first + i * down + j0 * right;
    for (let at = i * columns + j0, end = i * columns + j1; at < end; at += 1) {
      sums[at] += weight * x[from];
      from += right;
    }
  }
}
