// A table: sortable by its heads, scrolled in its own place when it is wide.

import type { ComponentChildren } from "preact";
import type { Order, Sortable } from "../logic/sort";
import { nextOrder } from "../logic/sort";

export interface Column<Row> {
  key: string;
  label: string;
  numeric?: boolean;
  /** What the head explains when pointed at. */
  hint?: string;
  /** Makes the column sortable. */
  sort?: (row: Row) => Sortable;
  render: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string | number;
  order?: Order;
  onOrder?: (order: Order) => void;
  /** Shown when there is no row. */
  empty?: string;
}

const alignment = (numeric: boolean | undefined) => (numeric ? "numeric" : undefined);

export function Table<Row>({ label, columns, rows, rowKey, order, onOrder, empty }: TableProps<Row>) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="table" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.key} column={column} order={order} onOrder={onOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map(({ key, label, numeric, render }) => (
                // A narrow screen shows a row as a card: then each cell says what it is.
                <td key={key} class={alignment(numeric)} data-label={label}>
                  {render(row)}
                </td>
              ))}
            </tr>
          ))}
          {rows.length === 0 && (
            <tr>
              <td class="empty" colSpan={columns.length}>
                {empty ?? "Nothing yet"}
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}

interface HeadProps<Row> {
  column: Column<Row>;
  order: Order | undefined;
  onOrder: ((order: Order) => void) | undefined;
}

function Head<Row>({ column, order, onOrder }: HeadProps<Row>) {
  const { key, label, numeric, hint, sort } = column;
  if (sort === undefined || order === undefined || onOrder === undefined) {
    return (
      <th scope="col" class={`unsorted ${alignment(numeric) ?? ""}`} title={hint}>
        {label}
      </th>
    );
  }
  const direction = order.column === key ? order.direction : undefined;
  return (
    <th scope="col" class={alignment(numeric)} aria-sort={direction ?? "none"} title={hint}>
      <button type="button" class="sort" onClick={() => onOrder(nextOrder(order, key, numeric ?? false))}>
        {label}
        <span class={`arrow ${direction ?? ""}`} aria-hidden="true" />
      </button>
    </th>
  );
}
