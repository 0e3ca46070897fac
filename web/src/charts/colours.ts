// The page's colours as a canvas understands them.

export interface Colours {
  text: string;
  grid: string;
  accent: string;
  p95: string;
  p99: string;
  area: string;
  corridor: string;
  range: string;
  without: string;
  withoutFill: string;
  bad: string;
}

const TOKENS: Record<keyof Colours, string> = {
  text: "--text-soft",
  grid: "--line",
  accent: "--accent",
  p95: "--p95",
  p99: "--p99",
  area: "--area",
  corridor: "--corridor",
  range: "--range",
  without: "--without",
  withoutFill: "--without-fill",
  bad: "--bad",
};

/** `light-dark()` and `var()` resolve only where they are used as a colour. */
export function colours(): Colours {
  const probe = document.createElement("span");
  document.body.append(probe);
  const resolved = Object.entries(TOKENS).map(([name, token]) => {
    probe.style.color = `var(${token})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(resolved) as unknown as Colours;
}
