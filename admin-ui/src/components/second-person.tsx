import { Alert, Link } from "@chakra-ui/react";
import { useEffect } from "react";
import { Link as RouterLink } from "react-router";
import { useApprovals, type Approval } from "../api/approvals";
import { forgetApproval } from "../lib/approvals";

type Status = "info" | "success" | "warning";

/** What a request that needs a second person waits for, and what to do now. */
export function approvalWords(approval: Approval | undefined): [Status, string, string] {
  switch (approval?.state) {
    case "approved":
      return [
        "success",
        `Approved by ${approval.decided_by}`,
        "Do it once more: this time it is carried out.",
      ];
    case "refused":
      return ["warning", `Refused by ${approval.decided_by}`, "Doing it once more asks anew."];
    case "used":
    case "expired":
      return ["warning", `The approval is ${approval.state}`, "Doing it once more asks for a new one."];
    default:
      return [
        "info",
        "Another person must approve this",
        "It waits for their decision. You can leave this page.",
      ];
  }
}

/** Follows an approval until it is decided. */
export function SecondPerson({ approval: id }: { approval: string }) {
  const approval = useApprovals().data?.items.find((item) => item.id === id);
  const over = ["refused", "used", "expired"].includes(approval?.state ?? "");
  useEffect(() => {
    if (over) forgetApproval(id);
  }, [over, id]);
  const [status, title, detail] = approvalWords(approval);
  return (
    <Alert.Root status={status} role="status">
      <Alert.Indicator />
      <Alert.Content>
        <Alert.Title>{title}</Alert.Title>
        <Alert.Description>
          {detail}{" "}
          <Link asChild variant="underline">
            <RouterLink to="/approvals">Approvals</RouterLink>
          </Link>
        </Alert.Description>
      </Alert.Content>
    </Alert.Root>
  );
}
