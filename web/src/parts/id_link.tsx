// An id as people see it: its beginning, which leads to what is known of it; all of it where it is pointed at.

import { shortId } from "../logic/format";
import { link, type View } from "../route";

export function IdLink({ view, id }: { view: View; id: string }) {
  return (
    <a href={link(view, id)} title={id}>
      <code>{shortId(id)}</code>
    </a>
  );
}
