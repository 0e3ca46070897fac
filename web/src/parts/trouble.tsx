/** Why something cannot be shown, or is no longer fresh. */
export function Trouble({ error }: { error: string | null }) {
  return (
    <div class="trouble" role="alert">
      {error !== null && <p class="error">This could not be read: {error}.</p>}
    </div>
  );
}
