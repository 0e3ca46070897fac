// Light or dark: as the system has it, until the reader chooses.

import { effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const KEY = "evenkeel-theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");

function chosen(): Theme | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null;
  }
}

const systemTheme = (): Theme => (system.matches ? "dark" : "light");

export const theme = signal<Theme>(chosen() ?? systemTheme());

export function toggleTheme(): void {
  theme.value = theme.value === "light" ? "dark" : "light";
  try {
    // Back at what the system says, the page follows the system again.
    if (theme.value === systemTheme()) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme.value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

system.addEventListener("change", () => {
  if (chosen() === null) theme.value = systemTheme();
});

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
