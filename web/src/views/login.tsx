// Exchanges a token for a session.

import { useEffect, useRef, useState } from "preact/hooks";
import { login } from "../api/client";
import { capitalised } from "../logic/format";
import { retry } from "../state";

export function LoginView() {
  const [token, setToken] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in · evenkeel";
    input.current?.focus();
  }, []);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await login(token.trim());
      history.replaceState(null, "", `./${location.hash}`);
      retry();
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
      input.current?.select();
    } finally {
      setBusy(false);
    }
  }

  return (
    <main class="login">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <h1>evenkeel</h1>
        <p class="note">This server asks for a token. Whoever runs it has one for you.</p>
        <label class="field">
          <span>Token</span>
          <input
            ref={input}
            type="password"
            name="token"
            autocomplete="current-password"
            required
            aria-describedby="login-error"
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <p id="login-error" class="error" role="alert">
          {error !== null && capitalised(error)}
        </p>
        <button type="submit" class="primary" disabled={busy}>
          Sign in
        </button>
      </form>
    </main>
  );
}
