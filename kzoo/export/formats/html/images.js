// Image files become pixels as Pillow makes them (`kzoo/inference/kinds/image/decode.py`): transparency on white, scaled until
// the image covers the size of the model, and cropped at the centre.

import { ModelError, repr } from "./python.js";

const SHARP = 2; // times the longer side of the model: the least size to which a JPEG is reduced
const GAP = 2; // an image of more than this many times the size is first reduced by whole factors

/** Return the pixels (0..255) of an image file: `height` rows of `width`, with 1 or 3 channels. */
export async function pixelsOf(file, [height, width, channels]) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new ModelError(`Cannot read image ${repr(file.name ?? "")}: it is damaged, or of a format that this browser does not know.`);
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const whole = inMode(context.getImageData(0, 0, canvas.width, canvas.height), channels);
  const factor = (await isJpeg(file)) ? draftOf(whole, SHARP * Math.max(height, width)) : 1;
  const image = factor > 1 ? reduced(whole, [0, 0, whole.width, whole.height], factor) : whole;
  return image.width === width && image.height === height ? image.pixels : covered(image, height, width);
}

async function isJpeg(file) {
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return first === 0xff && second === 0xd8;
}

/** Return by which factor Pillow reduces a JPEG while it decodes it, so that at least `side` pixels are left. */
function draftOf({ width, height }, side) {
  const most = Math.min(Math.floor(width / side), Math.floor(height / side));
  return [8, 4, 2].find((factor) => most >= factor) ?? 1;
}

function inMode({ data, width, height }, channels) {
  const pixels = new Uint8ClampedArray(width * height * channels);
  for (let i = 0; i < width * height; i += 1) {
    const [red, green, blue] = [data[4 * i], data[4 * i + 1], data[4 * i + 2]];
    if (channels === 1) pixels[i] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
    else pixels.set([red, green, blue], channels * i);
  }
  return { pixels, width, height, channels };
}

function covered(image, height, width) {
  const share = Math.min(image.width / width, image.height / height);
  const [left, top] = [(image.width - share * width) / 2, (image.height - share * height) / 2];
  const factor = Math.max(Math.floor(share / GAP), 1);
  if (factor === 1) return resized(image, [left, top, share], height, width);
  const room = share / 2; // what the filter reads around the box
  const [x0, y0] = [left, top].map((start) => Math.max(Math.trunc(start - room), 0));
  const x1 = Math.min(Math.ceil(left + share * width + room), image.width), y1 = Math.min(Math.ceil(top + share * height + room), image.height);
  return resized(reduced(image, [x0, y0, x1, y1], factor), [(left - x0) / factor, (top - y0) / factor, share / factor], height, width);
}

/** Return the means of blocks of `factor` by `factor` pixels of a part of an image. */
function reduced({ pixels, width: across, channels }, [x0, y0, x1, y1], factor) {
  const width = Math.ceil((x1 - x0) / factor), height = Math.ceil((y1 - y0) / factor), means = new Uint8ClampedArray(width * height * channels);
  for (let y = 0; y < height; y += 1) {
    const [top, bottom] = [y0 + y * factor, Math.min(y0 + (y + 1) * factor, y1)];
    for (let x = 0; x < width; x += 1) {
      const [left, right] = [x0 + x * factor, Math.min(x0 + (x + 1) * factor, x1)];
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        for (let row = top; row < bottom; row += 1) for (let column = left; column < right; column += 1) sum += pixels[(row * across + column) * channels + channel];
        means[(y * width + x) * channels + channel] = Math.floor(sum / ((bottom - top) * (right - left)) + 0.5);
      }
    }
  }
  return { pixels: means, width, height, channels };
}

/** Return a square-scaled part of an image, by a triangular filter: first along rows, then along columns. */
function resized(image, [left, top, scale], height, width) {
  const rows = filtered(image.pixels, image.height, image.width, image.channels, weightsOf(image.width, left, scale, width));
  const columns = filtered(turned(rows, image.height, width, image.channels), width, image.height, image.channels, weightsOf(image.height, top, scale, height));
  return turned(columns, width, height, image.channels);
}

/** Return, of each of `count` pixels, the first pixel that it is made of and the weights of these. */
function weightsOf(size, start, scale, count) {
  const reach = Math.max(scale, 1);
  return Array.from({ length: count }, (_, index) => {
    const centre = start + (index + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0), last = Math.min(Math.trunc(centre + reach + 0.5), size);
    const weights = Array.from({ length: last - first }, (__, i) => Math.max(1 - Math.abs((i + first - centre + 0.5) / reach), 0));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return [first, weights.map((weight) => weight / total)];
  });
}

function filtered(pixels, height, across, channels, weights) {
  const result = new Uint8ClampedArray(height * weights.length * channels);
  for (let y = 0; y < height; y += 1) {
    weights.forEach(([first, shares], x) => {
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        for (let i = 0; i < shares.length; i += 1) sum += shares[i] * pixels[(y * across + first + i) * channels + channel];
        result[(y * weights.length + x) * channels + channel] = Math.floor(sum + 0.5);
      }
    });
  }
  return result;
}

/** Return an image with rows and columns exchanged. */
function turned(pixels, height, width, channels) {
  const result = new Uint8ClampedArray(pixels.length);
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) for (let channel = 0; channel < channels; channel += 1) result[(x * height + y) * channels + channel] = pixels[(y * width + x) * channels + channel];
  return result;
}
