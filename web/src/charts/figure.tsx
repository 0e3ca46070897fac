// A chart with its title, legend, reading under the pointer, and the same data as a table.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { type Column, Table } from "../parts/table";

export interface LegendEntry {
  swatch: string;
  label: string;
}

interface FigureProps<Row> {
  title: string;
  unit: string;
  /** The latest value, or the one under the pointer. */
  reading: string;
  legend: LegendEntry[];
  rows: Row[];
  rowKey: (row: Row) => string | number;
  columns: Column<Row>[];
  children: ComponentChildren;
}

export function Figure<Row>({
  title,
  unit,
  reading,
  legend,
  rows,
  rowKey,
  columns,
  children,
}: FigureProps<Row>) {
  const [asTable, setAsTable] = useState(false);
  const id = useId();
  return (
    <figure class="card figure" aria-labelledby={id}>
      <div class="figure-head">
        <h3>
          <span id={id}>{title}</span> <span class="unit">{unit}</span>
        </h3>
        <button
          type="button"
          class="quiet"
          aria-pressed={asTable}
          aria-label={`${title} as a table`}
          onClick={() => setAsTable(!asTable)}
        >
          Table
        </button>
      </div>
      <p class="reading">{reading}</p>
      {asTable ? (
        <div class="figure-table">
          <Table label={`${title}, ${unit}`} columns={columns} rows={rows} rowKey={rowKey} />
        </div>
      ) : (
        <>
          {children}
          <ul class="legend" aria-label={`Legend of ${title}`}>
            {legend.map(({ swatch, label }) => (
              <li key={label}>
                <span class={`swatch ${swatch}`} aria-hidden="true" />
                {label}
              </li>
            ))}
          </ul>
        </>
      )}
    </figure>
  );
}
