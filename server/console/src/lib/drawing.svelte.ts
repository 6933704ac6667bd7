// An area drawn by hand: corner after corner on the map, then closed.

export type Corner = [number, number]; // longitude, latitude

const FEWEST = 3;

class Drawing {
  /** Whether a click on the map sets a corner. */
  active = $state(false);
  corners = $state.raw<Corner[]>([]);
  closed = $state(false);

  /** Begin with nothing, or with an area that is there already. */
  open(ring: Corner[] | null): void {
    this.corners = ring ? ring.slice(0, -1) : [];
    this.closed = ring !== null;
    this.active = false;
  }

  begin(): void {
    if (this.closed) this.clear();
    this.active = true;
  }

  add(corner: Corner): void {
    if (this.active) this.corners = [...this.corners, rounded(corner)];
  }

  undo(): void {
    if (this.closed) this.active = true;
    else this.corners = this.corners.slice(0, -1);
    this.closed = false;
  }

  close(): void {
    if (!this.closable) return;
    this.closed = true;
    this.active = false;
  }

  clear(): void {
    this.corners = [];
    this.closed = false;
  }

  get closable(): boolean {
    return !this.closed && this.corners.length >= FEWEST;
  }

  /** The ring as GeoJSON wants it, once it is closed. */
  get ring(): Corner[] | null {
    const first = this.corners[0];
    return this.closed && first ? [...this.corners, first] : null;
  }
}

/** Four decimals are some ten metres: more than a hand can mean. */
function rounded([x, y]: Corner): Corner {
  return [Math.round(x * 1e4) / 1e4, Math.round(y * 1e4) / 1e4];
}

export const drawing = new Drawing();
