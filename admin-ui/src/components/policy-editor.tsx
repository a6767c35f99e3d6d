import { Alert, Box, Button, Flex, Stack, Text, Textarea } from "@chakra-ui/react";
import { useEffect, useRef, useState } from "react";
import { usePolicyCheck, type ActivePolicy, type PolicyTexts } from "../api/policy";
import { differs, draftOf, lineRange, useDraft, type PolicyDraft } from "../lib/policy-draft";
import { ActionButton } from "./action-button";
import { ActivateDialog } from "./activate-dialog";
import { FormField } from "./form-field";
import { CheckView } from "./policy-check";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

/** How long nothing is typed before the text is checked, in milliseconds. */
const PAUSE_MS = 500;

/** The policy's text: checked while it is written, activated when it is right. */
export function PolicyEditor({ active }: { active: ActivePolicy }) {
  const [kept, setDraft] = useDraft();
  const [activating, setActivating] = useState(false);
  const lines = useRef<HTMLTextAreaElement>(null);
  const draft = kept ?? draftOf(active);
  const changed = differs(draft, active);
  const settled = usePaused(changed ? draft : null);
  const check = usePolicyCheck(settled);
  const current = settled === draft ? check.data : undefined;
  const edit = (part: Partial<PolicyTexts>) => setDraft({ ...draft, ...part });
  const goTo = (line: number) => {
    lines.current?.focus();
    lines.current?.setSelectionRange(...lineRange(draft.policy, line));
  };
  return (
    <Section title="Policy">
      <Stack gap="4">
        {changed && draft.base !== active.epoch && (
          <Overtaken epoch={active.epoch} onKeep={() => setDraft({ ...draft, base: active.epoch })} />
        )}
        <FormField
          label="Lines"
          help="kind, class, where, name, action, effect. What no line permits is denied."
        >
          <Textarea
            ref={lines}
            rows={16}
            value={draft.policy}
            {...CODE}
            onChange={(e) => edit({ policy: e.target.value })}
          />
        </FormField>
        <Model text={draft.model} onChange={(model) => edit({ model })} />
        <Flex gap="3" wrap="wrap" align="center">
          <ActionButton
            action="policy.activate"
            disabled={!current?.usable || draft.base !== active.epoch}
            onClick={() => setActivating(true)}
          >
            Activate
          </ActionButton>
          <Button variant="outline" disabled={!changed} onClick={() => setDraft(null)}>
            Back to epoch {active.epoch}
          </Button>
          <Text color="fg.muted" role="status">
            {changed ? !current && !check.isError && "Checking …" : "Nothing is changed."}
          </Text>
        </Flex>
        {check.isError && changed && (
          <ProblemAlert error={check.error} onRetry={() => void check.refetch()} />
        )}
        {changed && current && <CheckView check={current} onLine={goTo} />}
      </Stack>
      {activating && current && (
        <ActivateDialog
          draft={draft}
          check={current}
          onClose={() => setActivating(false)}
          onDone={() => setDraft(null)}
        />
      )}
    </Section>
  );
}

const CODE = {
  fontFamily: "mono",
  textStyle: "sm",
  spellCheck: false,
  autoCapitalize: "none",
  wrap: "off",
  overflowX: "auto",
} as const;

function Model({ text, onChange }: { text: string; onChange: (text: string) => void }) {
  return (
    <Box as="details">
      <Box as="summary" cursor="pointer" py="1">
        Model (casbin)
      </Box>
      <FormField label="Model">
        <Textarea rows={14} value={text} {...CODE} onChange={(event) => onChange(event.target.value)} />
      </FormField>
    </Box>
  );
}

/** The draft, once nothing was typed for a while. */
function usePaused(draft: PolicyDraft | null): PolicyDraft | null {
  const [settled, setSettled] = useState(draft);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(draft), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [draft]);
  return draft && settled;
}

function Overtaken({ epoch, onKeep }: { epoch: number; onKeep: () => void }) {
  return (
    <Alert.Root status="warning" role="alert">
      <Alert.Indicator />
      <Alert.Content>
        <Alert.Title>Epoch {epoch} was activated while you wrote</Alert.Title>
        <Alert.Description>The differences below are against it.</Alert.Description>
      </Alert.Content>
      <Button size="xs" variant="outline" onClick={onKeep}>
        Keep my text
      </Button>
    </Alert.Root>
  );
}
