import { Box, Button, Flex, Stack } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useEffect, useRef, useState } from "react";
import { FormProvider, useForm, useFormContext, useWatch } from "react-hook-form";
import { problemOf } from "../api/client";
import { useCreateTenant, useRefusal, useSlug } from "../api/queries";
import { CreatedTenantView } from "../components/created-tenant";
import { Forbidden } from "../components/forbidden";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Progress } from "../components/wizard-progress";
import { Configuration, Confirmation, Details } from "../components/wizard-steps";
import {
  anotherTry,
  draftSchema,
  keyedRequest,
  NEW_WIZARD,
  readWizard,
  requestOf,
  type Draft,
  type SavedWizard,
} from "../lib/draft";
import { readStored, writeStored } from "../lib/stored";

const STORAGE_KEY = "palisade.new-tenant";

interface WizardStep {
  title: string;
  /** What must be valid before the next step. */
  fields: (keyof Draft)[];
}

const STEPS: WizardStep[] = [
  { title: "Details", fields: ["slug", "display_name"] },
  { title: "Configuration", fields: ["template", "plan"] },
  { title: "Confirmation", fields: [] },
];
const LAST = STEPS.length - 1;

type Create = ReturnType<typeof useCreateTenant>;

/** Makes a tenant in three steps, then shows what was made. */
export function NewTenantPage() {
  const create = useCreateTenant();
  const refused = useRefusal("tenant.create");
  const [wizard, setWizard] = useSavedWizard();
  useEffect(() => {
    if (create.isSuccess) writeStored("sessionStorage", STORAGE_KEY, null);
  }, [create.isSuccess]);
  if (create.data) {
    const retry = () => {
      const { request } = wizard;
      setWizard({ ...wizard, request: request && anotherTry(request) });
      create.reset();
    };
    return <CreatedTenantView created={create.data} onRetry={retry} />;
  }
  if (refused) return <Forbidden title="New tenant" reason={refused} />;
  return <Wizard create={create} wizard={wizard} onChange={setWizard} />;
}

/** The wizard, kept for as long as the tab lives. */
function useSavedWizard() {
  const [wizard, setWizard] = useState(() => readWizard(readStored("sessionStorage", STORAGE_KEY)));
  const change = (next: SavedWizard) => {
    setWizard(next);
    writeStored("sessionStorage", STORAGE_KEY, JSON.stringify(next));
  };
  return [wizard, change] as const;
}

interface WizardProps {
  create: Create;
  wizard: SavedWizard;
  onChange: (wizard: SavedWizard) => void;
}

function Wizard({ create, wizard, onChange }: WizardProps) {
  const { step, request } = wizard;
  const form = useForm({
    resolver: zodResolver(draftSchema),
    defaultValues: wizard.draft,
    mode: "onChange",
  });
  const panel = useRef<HTMLFormElement>(null);
  const sending = useRef(false);
  useFocusOnMove(panel, step);
  const go = (to: number, next: Partial<SavedWizard> = {}) => {
    create.reset();
    onChange({ ...wizard, draft: form.getValues(), step: to, ...next });
  };
  const next = async () => {
    if (!(await form.trigger(STEPS[step]?.fields, { shouldFocus: true }))) return;
    const draft = draftSchema.parse(form.getValues());
    go(step + 1, step + 1 === LAST ? { request: keyedRequest(request, requestOf(draft)) } : {});
  };
  const send = () => {
    // `isPending` is a render late. A second request would take the first one's place, and its secrets with it.
    if (!request || sending.current) return;
    sending.current = true;
    create.mutate(request, {
      onSettled: () => {
        sending.current = false;
      },
      onError: (error) => {
        const { status } = problemOf(error);
        // What was answered is answered again for the same key. Only an answer that never came is asked for anew.
        if (status !== 0 && status !== 409) onChange({ ...wizard, request: anotherTry(request) });
      },
    });
  };
  return (
    <Box maxW="3xl">
      <PageHead title="New tenant" description="A schema, roles and connection strings of its own." />
      <FormProvider {...form}>
        <form
          ref={panel}
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (step === LAST) send();
            else void next();
          }}
        >
          <SaveAsTyped wizard={wizard} />
          <Stack gap="6">
            <Progress titles={STEPS.map(({ title }) => title)} step={step} />
            {step === 0 && <Details />}
            {step === 1 && <Configuration />}
            {step === LAST && request && <Confirmation request={request} />}
            {create.isError && <ProblemAlert error={create.error} />}
            <Buttons step={step} pending={create.isPending} onBack={() => go(step - 1)} onChange={onChange} />
          </Stack>
        </form>
      </FormProvider>
    </Box>
  );
}

/** After a move the next step is read from its beginning. */
function useFocusOnMove(panel: React.RefObject<HTMLFormElement | null>, step: number) {
  const before = useRef(step);
  useEffect(() => {
    if (before.current !== step) panel.current?.querySelector<HTMLElement>("input, select, h2")?.focus();
    before.current = step;
  }, [panel, step]);
}

function SaveAsTyped({ wizard }: { wizard: SavedWizard }) {
  const draft = useWatch<Draft>() as Draft;
  useEffect(
    () => writeStored("sessionStorage", STORAGE_KEY, JSON.stringify({ ...wizard, draft })),
    [wizard, draft],
  );
  return null;
}

interface ButtonsProps {
  step: number;
  pending: boolean;
  onBack: () => void;
  onChange: (wizard: SavedWizard) => void;
}

function Buttons({ step, pending, onBack, onChange }: ButtonsProps) {
  const form = useFormContext<Draft>();
  const slug = useWatch<Draft, "slug">({ name: "slug" });
  const valid = draftSchema.shape.slug.safeParse(slug).success;
  const taken = useSlug(valid ? slug : "").data?.available === false;
  const clear = () => {
    form.reset(NEW_WIZARD.draft);
    onChange(NEW_WIZARD);
  };
  return (
    <Flex justify="space-between" gap="3" wrap="wrap">
      <Flex gap="3">
        <Button variant="outline" disabled={step === 0 || pending} onClick={onBack}>
          Back
        </Button>
        <Button variant="ghost" disabled={pending} onClick={clear}>
          Start over
        </Button>
      </Flex>
      <Button
        type="submit"
        disabled={taken && step < LAST}
        loading={pending}
        loadingText="Making the tenant …"
      >
        {step === LAST ? "Create tenant" : "Next"}
      </Button>
    </Flex>
  );
}
