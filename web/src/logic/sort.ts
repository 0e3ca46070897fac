// Sorting of tables.

export type Direction = "ascending" | "descending";
export type Sortable = number | string | boolean | null | undefined;

export interface Order {
  column: string;
  direction: Direction;
}

/** A sorted copy; what is unknown comes last either way, and equals keep their order. */
export function sorted<T>(rows: T[], key: (row: T) => Sortable, direction: Direction): T[] {
  const sign = direction === "ascending" ? 1 : -1;
  return [...rows].sort((left, right) => {
    const [a, b] = [key(left), key(right)];
    if (a == null || b == null) return Number(a == null) - Number(b == null);
    if (a === b) return 0;
    return (a < b ? -1 : 1) * sign;
  });
}

/** What a press on a column's head asks for: the other direction, or a new column, numbers from the largest. */
export function nextOrder(order: Order, column: string, numeric: boolean): Order {
  if (order.column !== column) return { column, direction: numeric ? "descending" : "ascending" };
  return { column, direction: order.direction === "ascending" ? "descending" : "ascending" };
}
