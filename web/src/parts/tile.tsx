import type { ComponentChildren } from "preact";

interface TileProps {
  title: string;
  /** What the tile is about, in large. */
  value: ComponentChildren;
  level?: "good" | "warning" | "bad" | undefined;
  children?: ComponentChildren;
}

/** One figure of the first screen, with what belongs to it. */
export function Tile({ title, value, level, children }: TileProps) {
  return (
    <section class="card tile" aria-label={title}>
      <h2>{title}</h2>
      <p class={`figure-value ${level ?? ""}`}>{value}</p>
      {children}
    </section>
  );
}

export type Fact = [string, ComponentChildren];

/** A name and its value, a line each. */
export function Facts({ facts }: { facts: Fact[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
