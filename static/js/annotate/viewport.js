// The part of the image that is visible: zoomed by wheel, buttons or two fingers, and scrolled.
import { clamp } from './boxes.js';

const LARGEST_ZOOM = 16; // times the size at which the whole image fits
const WHEEL_STEP = 1.2;

/**
 * @typedef {{ x: number, y: number }} Point of the window
 * @typedef {Point & { distance: number }} Pinch the middle of two fingers, and how far apart they are
 */

export class Viewport {
  /**
   * @param {HTMLElement} stage that scrolls the image
   * @param {() => void} onResize
   */
  constructor(stage, onResize) {
    this.stage = stage;
    this.onResize = onResize;
    /** @type {HTMLImageElement | null} */
    this.image = null;
    this.zoom = 1;
    /** @type {Pinch | null} */
    this.pinch = null;
    new ResizeObserver(() => this.fit()).observe(stage);
    stage.addEventListener('wheel', (event) => this.handleWheel(event), { passive: false });
  }

  /** @param {HTMLImageElement} image */
  setImage(image) {
    this.image = image;
    this.showWhole();
  }

  showWhole() {
    this.zoom = 1;
    this.fit();
  }

  /** Give the image the size that the stage and the zoom ask for. */
  fit() {
    if (!this.image?.naturalWidth) return;
    const { naturalWidth: width, naturalHeight: height } = this.image;
    const fitting = Math.min(this.stage.offsetWidth / width, this.stage.offsetHeight / height);
    const style = `${Math.max(1, Math.floor(width * fitting * this.zoom))}px`;
    if (this.image.style.width !== style) this.image.style.width = style;
    this.onResize();
  }

  /** Pixels of the image for one of the screen. */
  get scale() {
    return (this.image?.naturalWidth ?? 1) / (this.image?.clientWidth ?? 1) || 1;
  }

  /**
   * Zoom around a point of the window, which stays where it is; without one around the middle.
   * @param {number} factor
   * @param {Point | null} [fixed]
   */
  zoomBy(factor, fixed = null) {
    if (!this.image) return;
    const frame = this.stage.getBoundingClientRect();
    const { x, y } = fixed ?? { x: frame.x + frame.width / 2, y: frame.y + frame.height / 2 };
    const before = this.image.getBoundingClientRect();
    const [left, top] = [(x - before.x) / before.width, (y - before.y) / before.height];
    this.zoom = clamp(this.zoom * factor, 1, LARGEST_ZOOM);
    this.fit();
    const after = this.image.getBoundingClientRect();
    this.stage.scrollLeft += after.x + left * after.width - x;
    this.stage.scrollTop += after.y + top * after.height - y;
  }

  /** @param {WheelEvent} event */
  handleWheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const factor = event.deltaY < 0 ? WHEEL_STEP : 1 / WHEEL_STEP;
    this.zoomBy(factor, { x: event.clientX, y: event.clientY });
  }

  /**
   * Follow two fingers: they move and zoom.
   * @param {PointerEvent[]} fingers
   */
  followPinch([one, two]) {
    const now = {
      distance: Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY),
      x: (one.clientX + two.clientX) / 2,
      y: (one.clientY + two.clientY) / 2,
    };
    if (this.pinch) {
      this.stage.scrollLeft -= now.x - this.pinch.x;
      this.stage.scrollTop -= now.y - this.pinch.y;
      if (this.pinch.distance > 0) this.zoomBy(now.distance / this.pinch.distance, now);
    }
    this.pinch = now;
  }

  endPinch() {
    this.pinch = null;
  }
}
