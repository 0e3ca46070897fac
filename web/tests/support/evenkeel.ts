// A real `evenkeel run` with a folder of its own.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const PROGRAM =
  process.env.EVENKEEL_BIN ?? resolve("..", process.env.CARGO_TARGET_DIR ?? "target", "debug/evenkeel");

/** What the developer has set must not decide what a test sees. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("EVENKEEL_") && name !== "RUST_LOG",
  );
  return { ...Object.fromEntries(kept), RUST_LOG: "warn" };
}

/** What a command prints. */
export function output(...options: string[]): string {
  return execFileSync(PROGRAM, options, {
    env: environment(),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
}

export class Evenkeel {
  /** Its address, without a slash at the end. */
  url = "";
  private readonly folder = mkdtempSync(join(tmpdir(), "evenkeel-page-"));
  private process: ChildProcess | undefined;
  private listen = "127.0.0.1:0";

  constructor(private readonly options: string[] = ["--scenario", "x10"]) {}

  /** Starts it; a second time in the same folder, at the same address. */
  async start(): Promise<this> {
    const options = ["run", ...this.options, "--data-dir", this.folder, "--listen", this.listen];
    const child = spawn(PROGRAM, options, { env: environment(), stdio: ["ignore", "pipe", "inherit"] });
    this.process = child;
    const lines = createInterface({ input: child.stdout });
    const address = await new Promise<string>((found, failed) => {
      child.once("error", failed);
      child.once("exit", (code) => failed(new Error(`${PROGRAM} ended with ${code} before it listened`)));
      lines.on("line", (line) => {
        const url = /^API\s+(http:\S+?)\/?\s/.exec(line)?.[1];
        if (url !== undefined) found(url);
      });
    });
    this.url = address;
    this.listen = new URL(address).host;
    return this;
  }

  /** kill -9, as the kernel or a careless person would. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What `path` answers. */
  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}
