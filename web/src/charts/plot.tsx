// uPlot in a component: made once per theme, fed with new data, as large as its place.

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "../theme";
import { type Colours, colours } from "./colours";

export interface PlotProps {
  /** Says all that the picture says, for those who do not see it. */
  label: string;
  /** Must not change between renders, or the plot is made anew. */
  options: (colours: Colours) => Omit<uPlot.Options, "width" | "height">;
  data: uPlot.AlignedData;
  /** The row under the pointer; null when there is none. */
  onPoint?: (row: number | null) => void;
}

const sizeOf = ({ clientWidth, clientHeight }: HTMLElement) => ({
  width: Math.max(clientWidth, 1),
  height: Math.max(clientHeight, 1),
});

export function Plot({ label, options, data, onPoint }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ data, onPoint });
  latest.current = { data, onPoint };

  useEffect(() => {
    const element = place.current as HTMLDivElement;
    const stop = effect(() => {
      theme.value;
      plot.current?.destroy();
      const given = options(colours());
      const setCursor = (u: uPlot) => latest.current.onPoint?.(u.cursor.idx ?? null);
      const hooks = { ...given.hooks, setCursor: [setCursor] };
      plot.current = new uPlot({ ...given, ...sizeOf(element), hooks }, latest.current.data, element);
    });
    const observer = new ResizeObserver(() => {
      const size = sizeOf(element);
      if (plot.current?.width !== size.width || plot.current.height !== size.height)
        plot.current?.setSize(size);
    });
    observer.observe(element);
    return () => {
      stop();
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [options]);

  useEffect(() => plot.current?.setData(data), [data]);

  return <div class="plot" role="img" aria-label={label} ref={place} />;
}
