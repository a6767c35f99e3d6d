import { Box, Button, Flex, Stack, Steps } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useEffect, useRef, useState } from "react";
import { FormProvider, useForm } from "react-hook-form";
import { useCreateTenant } from "../api/queries";
import { CreatedTenantView } from "../components/created-tenant";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Configuration, Confirmation, Details } from "../components/wizard-steps";
import {
  draftSchema,
  EMPTY_DRAFT,
  keyedRequest,
  requestOf,
  type Draft,
  type KeyedRequest,
} from "../lib/draft";

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

/** Makes a tenant in three steps, then shows what was made. */
export function NewTenantPage() {
  const create = useCreateTenant();
  if (create.data) return <CreatedTenantView created={create.data} />;
  return <Wizard create={create} />;
}

function Wizard({ create }: { create: ReturnType<typeof useCreateTenant> }) {
  const form = useForm({ resolver: zodResolver(draftSchema), defaultValues: EMPTY_DRAFT, mode: "onChange" });
  const [step, setStep] = useState(0);
  const [request, setRequest] = useState<KeyedRequest | null>(null);
  const panel = useRef<HTMLFormElement>(null);
  const moved = useRef(false);
  useEffect(() => {
    // After a move the next step is read from its beginning.
    if (moved.current) panel.current?.querySelector<HTMLElement>("input, select, h2")?.focus();
  }, [step]);

  const last = step === STEPS.length - 1;
  const go = (to: number) => {
    moved.current = true;
    create.reset();
    setStep(to);
  };
  const next = async () => {
    if (!(await form.trigger(STEPS[step]?.fields, { shouldFocus: true }))) return;
    if (step + 1 === STEPS.length - 1) {
      const draft = draftSchema.parse(form.getValues());
      setRequest((earlier) => keyedRequest(earlier, requestOf(draft)));
    }
    go(step + 1);
  };
  const submit = () => {
    if (!last) return void next();
    if (request) create.mutate(request);
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
            submit();
          }}
        >
          <Stack gap="6">
            <Progress step={step} />
            {step === 0 && <Details />}
            {step === 1 && <Configuration />}
            {last && request && <Confirmation request={request} />}
            {create.isError && <ProblemAlert error={create.error} />}
            <Flex justify="space-between" gap="3">
              <Button
                variant="outline"
                disabled={step === 0 || create.isPending}
                onClick={() => go(step - 1)}
              >
                Back
              </Button>
              <Button type="submit" loading={create.isPending} loadingText="Making the tenant …">
                {last ? "Create tenant" : "Next"}
              </Button>
            </Flex>
          </Stack>
        </form>
      </FormProvider>
    </Box>
  );
}

/**
 * Where the wizard stands. Chakra's list is a tablist whose children are no tabs; here it is what it looks like: an
 * ordered list with a current item.
 */
function Progress({ step }: { step: number }) {
  return (
    <Steps.Root step={step} count={STEPS.length} colorPalette="brand" size={{ base: "sm", md: "md" }}>
      <Steps.List
        role="list"
        aria-label="Steps"
        aria-owns={null as unknown as string}
        aria-orientation={null as unknown as undefined}
      >
        {STEPS.map(({ title }, index) => (
          <Steps.Item
            key={title}
            index={index}
            role="listitem"
            title={title}
            aria-current={index === step ? "step" : undefined}
          >
            <Steps.Indicator />
            <Steps.Title hideBelow={index === step ? undefined : "sm"}>{title}</Steps.Title>
            <Steps.Separator />
          </Steps.Item>
        ))}
      </Steps.List>
    </Steps.Root>
  );
}
