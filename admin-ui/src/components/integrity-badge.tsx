import { Badge, Button, Code, List, Text } from "@chakra-ui/react";
import { ShieldAlert, ShieldCheck, ShieldQuestion, type LucideIcon } from "lucide-react";
import { useState } from "react";
import { useIntegrity, type Integrity } from "../api/live";
import { CodeBox } from "./code-box";
import { Facts } from "./facts";
import { Modal } from "./modal";
import { ProblemAlert } from "./problem-alert";
import { Time } from "./time";

interface Look {
  icon: LucideIcon;
  color: string;
  text: string;
}

const LOOKS: Record<string, Look> = {
  holds: { icon: ShieldCheck, color: "green", text: "Log holds" },
  altered: { icon: ShieldAlert, color: "red", text: "Log was altered" },
  unsigned: { icon: ShieldQuestion, color: "gray", text: "Log not signed yet" },
};
const ASKING: Look = { icon: ShieldQuestion, color: "gray", text: "Checking the log …" };
const UNKNOWN: Look = { icon: ShieldQuestion, color: "orange", text: "Log cannot be checked" };

/** Whether the newest stretch of the trail is what was signed; opened, how that is known. */
export function IntegrityBadge() {
  const integrity = useIntegrity();
  const [open, setOpen] = useState(false);
  const { data, isError } = integrity;
  const look = isError ? UNKNOWN : data ? (LOOKS[data.state] ?? UNKNOWN) : ASKING;
  const Icon = look.icon;
  return (
    <>
      <Button size="sm" variant="outline" onClick={() => setOpen(true)} aria-label={`${look.text}: details`}>
        <Badge colorPalette={look.color} variant="subtle" size="md" role="status">
          <Icon aria-hidden size="1em" /> {look.text}
        </Badge>
      </Button>
      {open && (
        <Modal
          title="The log's integrity"
          open
          onClose={() => setOpen(false)}
          footer={
            <>
              <Button variant="outline" onClick={() => setOpen(false)}>
                Done
              </Button>
              <Button loading={integrity.isFetching} onClick={() => void integrity.refetch()}>
                Check now
              </Button>
            </>
          }
        >
          {isError && <ProblemAlert error={integrity.error} />}
          {data && <Details integrity={data} />}
        </Modal>
      )}
    </>
  );
}

function Details({ integrity }: { integrity: Integrity }) {
  const { checked, checked_from, size, signed, faults } = integrity;
  return (
    <>
      <Text>
        {checked.toLocaleString()} events were held to their hashes and to {integrity.checkpoints} signed
        heads of the log{size > checked && `, from number ${checked_from.toLocaleString()} on`}. Older events
        are checked by the command below.
      </Text>
      {faults.length > 0 && (
        <List.Root ps="5" gap="1.5" role="list" aria-label="Faults">
          {faults.map((fault) => (
            <List.Item key={fault} overflowWrap="anywhere" color="red.fg">
              {fault}
            </List.Item>
          ))}
        </List.Root>
      )}
      <Facts
        facts={[
          ["Events with a number", size.toLocaleString()],
          ["Waiting for one", integrity.unnumbered.toLocaleString()],
          ["Signed", `${signed.toLocaleString()} of ${size.toLocaleString()}`],
          ["Last signed", integrity.signed_at && <Time key="signed" iso={integrity.signed_at} absolute />],
          ["Checked", <Time key="checked" iso={integrity.checked_at} absolute />],
          [
            "Key",
            <Code key="key" size="sm" overflowWrap="anywhere">
              {integrity.key}
            </Code>,
          ],
        ]}
      />
      <CodeBox label="The whole log" text={`palisade audit verify --key '${integrity.key}'`} wrap />
    </>
  );
}
