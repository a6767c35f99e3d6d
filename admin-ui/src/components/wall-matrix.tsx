import { Box, Table, Text, VisuallyHidden } from "@chakra-ui/react";
import type { Wall } from "../api/isolation";
import { aboutWall, matrix, type MatrixCell } from "../lib/isolation";

/** Attacks by class, and what leaked, one column for each set of walls: a sign beside each colour. */
export function WallMatrix({ walls, underWay }: { walls: Wall[]; underWay: boolean }) {
  const rows = matrix(walls);
  if (walls.length === 0) {
    return (
      <Text color="fg.muted" role="status">
        {underWay ? "Probe tenants are being made; attacks begin in a moment." : "No attack was made."}
      </Text>
    );
  }
  return (
    <Table.ScrollArea
      borderWidth="1px"
      rounded="lg"
      tabIndex={0}
      role="region"
      aria-label="Attacks and leaks (table)"
    >
      <Table.Root size="sm" aria-busy={underWay}>
        <Table.Header>
          <Table.Row bg="bg.muted">
            <Table.ColumnHeader>Attack</Table.ColumnHeader>
            {walls.map(({ wall }) => (
              <Table.ColumnHeader key={wall} minW={{ base: "6rem", md: "9rem" }}>
                {wall}
                <Text textStyle="xs" color="fg.muted" fontWeight="normal">
                  {aboutWall(wall)}
                </Text>
              </Table.ColumnHeader>
            ))}
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {rows.map(({ attacker, class: kind, cells }) => (
            <Table.Row key={`${attacker} ${kind}`} bg="bg.panel">
              <Table.ColumnHeader
                scope="row"
                fontWeight="medium"
                whiteSpace="normal"
                w={{ base: "7rem", md: "auto" }}
              >
                <Text as="span" color="fg.muted">
                  {attacker}:
                </Text>{" "}
                {kind}
              </Table.ColumnHeader>
              {cells.map((cell, column) => (
                <Cell key={walls[column]?.wall} cell={cell} />
              ))}
            </Table.Row>
          ))}
        </Table.Body>
      </Table.Root>
    </Table.ScrollArea>
  );
}

function Cell({ cell }: { cell: MatrixCell | null }) {
  if (!cell) {
    return (
      <Table.Cell color="fg.muted">
        <span aria-hidden>–</span>
        <VisuallyHidden>not attacked yet</VisuallyHidden>
      </Table.Cell>
    );
  }
  const leaks = cell.leaks > 0;
  return (
    <Table.Cell
      bg={leaks ? "red.subtle" : "green.subtle"}
      color={leaks ? "red.fg" : "green.fg"}
      fontVariantNumeric="tabular-nums"
    >
      <Box as="span" aria-hidden me="1.5">
        {leaks ? "✕" : "✓"}
      </Box>
      {cell.leaks.toLocaleString()} of {cell.attacks.toLocaleString()}
    </Table.Cell>
  );
}
