/**
 * The table of the console: sort by heading, search, choose by column, only visible rows in the document, CSV.
 *
 * On a phone buttons, and figures that have no room beside the others, stand in a line of their own below each row.
 * A row has a key (who it is). Actions get the row itself, never an index; for a moment after rows have changed places
 * they do nothing, so that nobody hits the row that slid under the pointer. What they send carries the row's version.
 */
import {
  type ColumnDef,
  columnFilteringFeature,
  createFilteredRowModel,
  createSortedRowModel,
  filterFns,
  globalFilteringFeature,
  rowSortingFeature,
  type SortingState,
  sortFns,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useDeferredValue, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { csvCell } from "./format";
import { Empty } from "./parts";
import { toast } from "./toast";

const features = tableFeatures({
  columnFilteringFeature,
  globalFilteringFeature,
  rowSortingFeature,
  filteredRowModel: createFilteredRowModel(),
  sortedRowModel: createSortedRowModel(),
  filterFns,
  sortFns,
});

const ROW_PX = 33;
const TALL_PX = 48;
const ALL_SHOWN = 80;
const MOVED_MS = 400;

/** Wraps an action on a row: does nothing for a moment after the row has moved. */
export type Act = (run: () => void) => () => void;

export interface Column<Row> {
  id: string;
  name: string;
  /** What is sorted, searched and exported; null is not known. */
  value: (row: Row) => string | number | boolean | null | undefined;
  /** What is shown, the value if there is none. */
  cell?: (row: Row) => ReactNode;
  num?: boolean;
  /** Left out on a narrow screen. */
  extra?: boolean;
  /** Below the row on a narrow screen, with its name. */
  fold?: boolean;
  /** Searched, chosen by and exported; another column shows it. */
  hidden?: boolean;
  /** Marks a change of the value for a moment. */
  flash?: boolean;
  title?: string;
}

interface Props<Row> {
  label: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  rowKey: (row: Row) => string;
  /** Buttons at the end of a row; `act` runs one unless the row has just moved. */
  actions?: (row: Row, act: Act) => ReactNode;
  /** Ids of columns with a choice of their values above the table. */
  choose?: readonly string[];
  sort?: { id: string; desc: boolean };
  group?: (row: Row) => string;
  groupHead?: (name: string, rows: readonly Row[]) => ReactNode;
  /** What the rows that are left by a filter come to, in the line that counts them. */
  sum?: (rows: readonly Row[]) => ReactNode;
  loaded?: boolean;
  empty?: ReactNode;
  csv?: string;
  tools?: ReactNode;
  plain?: boolean;
  /** Rows of two lines: what is small in a cell stands below. */
  tall?: boolean;
}

const phone = matchMedia("(max-width: 520px)");

/** True on a screen as narrow as a phone's. */
function useNarrow(): boolean {
  return useSyncExternalStore(
    (changed) => {
      phone.addEventListener("change", changed);
      return () => phone.removeEventListener("change", changed);
    },
    () => phone.matches,
  );
}

type Item<Row> = { group: string; rows: Row[] } | { row: Row };

export function Table<Row extends object>(props: Props<Row>) {
  const [search, setSearch] = useState("");
  const [chosen, setChosen] = useState<Record<string, string>>({});
  const [sorting, setSorting] = useState<SortingState>(props.sort ? [props.sort] : []);
  const filter = useDeferredValue(search.trim());
  const scroller = useRef<HTMLDivElement>(null);

  const data = useMemo(() => {
    const wanted = Object.entries(chosen).filter(([, value]) => value);
    if (!wanted.length) return props.rows as Row[];
    const columns = wanted.map(([id, value]) => [props.columns.find((column) => column.id === id), value] as const);
    return props.rows.filter((row) => columns.every(([column, value]) => String(column?.value(row) ?? "") === value));
  }, [props.rows, props.columns, chosen]);

  const definitions = useMemo(
    () =>
      props.columns.map(
        (column): ColumnDef<typeof features, Row> => ({
          id: column.id,
          accessorFn: (row) => column.value(row) ?? undefined,
          sortUndefined: "last",
          sortFn: (a, b, id) => compare(a.getValue(id), b.getValue(id)),
        }),
      ),
    [props.columns],
  );
  const table = useTable({
    features,
    columns: definitions,
    data,
    getRowId: props.rowKey,
    state: { sorting, globalFilter: filter },
    onSortingChange: setSorting,
    globalFilterFn: "includesString",
    getColumnCanGlobalFilter: () => true,
  });
  const sorted = table.getRowModel().rows;

  const narrow = useNarrow();
  const shown = useMemo((): readonly Column<Row>[] => props.columns.filter((column) => !column.hidden && !(narrow && column.fold)), [props.columns, narrow]);
  const folded = useMemo((): readonly Column<Row>[] => props.columns.filter((column) => narrow && column.fold && !column.hidden), [props.columns, narrow]);
  const px = (props.tall ? TALL_PX : ROW_PX) + (narrow && (props.actions || folded.length) ? ROW_PX : 0);
  const { group } = props;
  const items = useMemo((): Item<Row>[] => {
    if (!group) return sorted.map((row) => ({ row: row.original }));
    const groups = new Map<string, Row[]>();
    for (const { original } of sorted) {
      const name = group(original);
      const found = groups.get(name);
      if (found) found.push(original);
      else groups.set(name, [original]);
    }
    return [...groups].sort(([a], [b]) => a.localeCompare(b)).flatMap(([name, rows]) => [{ group: name, rows }, ...rows.map((row) => ({ row }))]);
  }, [sorted, group]);

  const act = useSteadyHand(items, props.rowKey);
  const virtual = items.length > ALL_SHOWN;
  const virtualizer = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => px,
    overscan: 12,
    enabled: virtual,
  });
  const window = virtual ? virtualizer.getVirtualItems() : null;
  const measure = virtual ? virtualizer.measureElement : undefined; // rows of two lines on a phone are taller
  const first = window?.[0]?.index ?? 0;
  const last = window ? (window.at(-1)?.index ?? -1) : items.length - 1;
  const beside = Boolean(props.actions) && !narrow;
  const width = shown.length + (beside ? 1 : 0);

  return (
    <>
      {!props.plain && (
        <div className="inside filters">
          <input type="search" placeholder="Search" aria-label={`Search ${props.label}`} value={search} onChange={(event) => setSearch(event.target.value)} />
          {props.choose?.map((id) => (
            <Choice key={id} column={props.columns.find((column) => column.id === id)} rows={props.rows} value={chosen[id] ?? ""} onChange={(value) => setChosen((before) => ({ ...before, [id]: value }))} />
          ))}
          {props.tools}
          {props.sum && sorted.length !== props.rows.length && <span className="small">{props.sum(sorted.map((row) => row.original))}</span>}
          <span className="muted small">{sorted.length === props.rows.length ? `${sorted.length}` : `${sorted.length} of ${props.rows.length}`} {props.rows.length === 1 ? "row" : "rows"}</span>
          {props.csv && sorted.length > 0 && (
            <button type="button" className="small" onClick={() => download(props.csv ?? "", props.columns, sorted.map((row) => row.original))}>
              CSV
            </button>
          )}
        </div>
      )}
      <div className={`table ${props.tall ? "tall" : ""}`} ref={scroller} tabIndex={0} role="region" aria-label={props.label}>
        <table aria-rowcount={items.length + 1}>
          <thead>
            <tr>
              {shown.map((column) => {
                const order = sorting[0]?.id === column.id ? (sorting[0].desc ? "descending" : "ascending") : "none";
                return (
                  <th key={column.id} scope="col" className={cellClass(column)} aria-sort={order} title={column.title}>
                    <button type="button" onClick={() => setSorting([{ id: column.id, desc: order === "none" ? Boolean(column.num) : order === "ascending" }])}>
                      {column.name}
                      <span aria-hidden="true">{order === "ascending" ? "↑" : order === "descending" ? "↓" : ""}</span>
                    </button>
                  </th>
                );
              })}
              {beside && (
                <th scope="col" className="acting">
                  <span className="hidden">Actions</span>
                </th>
              )}
            </tr>
          </thead>
          {virtual && first > 0 && <Pad width={width} px={window?.[0]?.start ?? 0} />}
          {items.slice(first, last + 1).map((item, at) =>
            "row" in item ? (
              <TableRow key={props.rowKey(item.row)} index={first + at} measure={measure} row={item.row} columns={shown as readonly Column<object>[]} folded={folded as readonly Column<object>[]} beside={beside} actions={props.actions as Props<object>["actions"]} act={act(props.rowKey(item.row))} />
            ) : (
              <tbody key={`group ${item.group}`} data-index={first + at} ref={measure}>
                <tr className="grouped">
                  <td colSpan={width}><div>{props.groupHead ? props.groupHead(item.group, item.rows) : item.group}</div></td>
                </tr>
              </tbody>
            ),
          )}
          {virtual && last + 1 < items.length && <Pad width={width} px={virtualizer.getTotalSize() - (window?.at(-1)?.end ?? 0)} />}
        </table>
        {!items.length && <Empty>{props.loaded === false ? "Waiting for data…" : props.rows.length ? "Nothing matches the filter." : (props.empty ?? "Nothing here.")}</Empty>}
      </div>
    </>
  );
}

function compare(a: unknown, b: unknown): number {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}

const cellClass = (column: { num?: boolean; extra?: boolean }): string => `${column.num ? "num" : "text"} ${column.extra ? "hide-narrow" : ""}`;

function Pad(props: { width: number; px: number }) {
  return (
    <tbody className="pad" aria-hidden="true">
      <tr>
        <td colSpan={props.width} style={{ height: props.px }} />
      </tr>
    </tbody>
  );
}

interface RowProps {
  index: number;
  measure?: (row: HTMLTableSectionElement | null) => void;
  row: object;
  columns: readonly Column<object>[];
  folded: readonly Column<object>[];
  /** Buttons stand beside the row, not below it. */
  beside: boolean;
  actions?: Props<object>["actions"];
  act: Act;
}

const TableRow = memo(
  function TableRow({ index, measure, row, columns, folded, beside, actions, act }: RowProps) {
    return (
      <tbody data-index={index} ref={measure}>
        <tr>
          {columns.map((column) => (
            <Cell key={column.id} className={cellClass(column)} value={column.flash ? column.value(row) : undefined}>
              {shownIn(column, row)}
            </Cell>
          ))}
          {beside && (
            <td className="acting">
              <div className="acts">{actions?.(row, act)}</div>
            </td>
          )}
        </tr>
        {!beside && (actions || folded.length > 0) && (
          <tr className="under">
            <td colSpan={columns.length}>
              <div className="row">
                {folded.map((column) => <span key={column.id} className="folded"><span className="muted small">{column.name}</span> {shownIn(column, row)}</span>)}
                {actions && <div className="acts">{actions(row, act)}</div>}
              </div>
            </td>
          </tr>
        )}
      </tbody>
    );
  },
  (before, now) => before.row === now.row && before.index === now.index && before.measure === now.measure && before.columns === now.columns && before.folded === now.folded && before.beside === now.beside && before.actions === now.actions,
);

const shownIn = (column: Column<object>, row: object): ReactNode => (column.cell ? column.cell(row) : plain(column.value(row)));

const plain = (value: unknown): string => (value === null || value === undefined || value === "" ? "—" : String(value));

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** A cell that is marked for half a second when its value changes. */
function Cell(props: { className: string; value: unknown; children: ReactNode }) {
  const element = useRef<HTMLTableCellElement>(null);
  const before = useRef(props.value);
  useEffect(() => {
    if (before.current !== props.value && !still.matches) {
      element.current?.animate([{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }], 600);
    }
    before.current = props.value;
  }, [props.value]);
  return (
    <td ref={element} className={props.className}>
      {props.children}
    </td>
  );
}

function Choice<Row>(props: { column: Column<Row> | undefined; rows: readonly Row[]; value: string; onChange: (value: string) => void }) {
  const { column, rows } = props;
  const values = useMemo(() => [...new Set(rows.map((row) => String(column?.value(row) ?? "")))].filter(Boolean).sort(), [column, rows]);
  if (!column || (values.length < 2 && !props.value)) return null;
  return (
    <select aria-label={`Only ${column.name}`} value={props.value} onChange={(event) => props.onChange(event.target.value)}>
      <option value="">{column.name}: all</option>
      {values.map((value) => (
        <option key={value}>{value}</option>
      ))}
    </select>
  );
}

/** Wraps actions on rows: for a moment after a row changed its place they say so and do nothing. */
function useSteadyHand<Row>(items: readonly Item<Row>[], rowKey: (row: Row) => string): (key: string) => Act {
  const places = useRef(new Map<string, number>());
  const moved = useRef(new Map<string, number>());
  useEffect(() => {
    const now = performance.now();
    const next = new Map<string, number>();
    items.forEach((item, index) => {
      if (!("row" in item)) return;
      const key = rowKey(item.row);
      const before = places.current.get(key);
      if (before !== undefined && before !== index) moved.current.set(key, now);
      next.set(key, index);
    });
    places.current = next;
  }, [items, rowKey]);
  return (key) => (run) => () => {
    if (performance.now() - (moved.current.get(key) ?? Number.NEGATIVE_INFINITY) < MOVED_MS) {
      toast("care", "The rows had just changed places: nothing was done. Check the row and press again.");
      return;
    }
    run();
  };
}

/** Saves rows as a CSV file. */
function download<Row>(name: string, columns: readonly Column<Row>[], rows: readonly Row[]): void {
  const lines = [columns.map((column) => csvCell(column.name)), ...rows.map((row) => columns.map((column) => csvCell(column.value(row))))];
  saveFile(`${name}.csv`, lines.map((line) => line.join(",")).join("\r\n"), "text/csv");
}

/** Has the browser save a text as a file. */
export function saveFile(name: string, text: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
