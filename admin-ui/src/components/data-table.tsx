import { Table } from "@chakra-ui/react";
import { tableFeatures, useTable, type ColumnDef } from "@tanstack/react-table";

const features = tableFeatures({});

/** Columns for rows of a type, each with a value type of its own; keep them outside of components. */
export type Columns<Row extends object> = ColumnDef<typeof features, Row, any>[];

interface DataTableProps<Row extends object> {
  /** What the table lists, for people who cannot see it. */
  label: string;
  columns: Columns<Row>;
  rows: Row[];
  rowId: (row: Row, index: number) => string;
  /** Columns that leave when the screen gets narrow, by id. */
  hideBelow?: Record<string, "sm" | "md" | "lg" | "2xl">;
  /** Older rows that are shown while newer ones are asked for. */
  stale?: boolean;
  /** Little room around the cells. */
  dense?: boolean;
}

/** A table. Order and pages are the server's; a narrow screen scrolls it sideways. */
export function DataTable<Row extends object>(props: DataTableProps<Row>) {
  const { label, columns, rows, rowId, hideBelow = {}, stale = false, dense = false } = props;
  const table = useTable({ features, columns, data: rows, getRowId: rowId });
  const hidden = (id: string) => ({ hideBelow: hideBelow[id] });
  return (
    <Table.ScrollArea
      borderWidth="1px"
      rounded="lg"
      bg="bg.panel"
      tabIndex={0}
      role="region"
      aria-label={`${label} (table)`}
    >
      <Table.Root size={{ base: "sm", md: dense ? "sm" : "md" }} opacity={stale ? 0.6 : 1} aria-busy={stale}>
        <Table.Header>
          {table.getHeaderGroups().map((group) => (
            <Table.Row key={group.id} bg="bg.muted">
              {group.headers.map((header) => (
                <Table.ColumnHeader key={header.id} whiteSpace="nowrap" {...hidden(header.column.id)}>
                  <table.FlexRender header={header} />
                </Table.ColumnHeader>
              ))}
            </Table.Row>
          ))}
        </Table.Header>
        <Table.Body>
          {table.getRowModel().rows.map((row) => (
            <Table.Row key={row.id} bg="bg.panel">
              {row.getAllCells().map((cell) => (
                <Table.Cell key={cell.id} {...hidden(cell.column.id)}>
                  <table.FlexRender cell={cell} />
                </Table.Cell>
              ))}
            </Table.Row>
          ))}
        </Table.Body>
      </Table.Root>
    </Table.ScrollArea>
  );
}
