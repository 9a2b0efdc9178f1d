package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/matih/pipeline-service/api/auth"
	"github.com/matih/pipeline-service/cmd/standalone/internal/signer"
	"github.com/matih/pipeline-service/models"
)

func newTokenCommand() *cobra.Command {
	var dataDir string
	var grant signer.Grant
	cmd := &cobra.Command{
		Use:   "token --tenant UUID --subject NAME --roles ROLE,…",
		Short: "Print a token that the standalone of a data directory accepts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := issue(dataDir, grant)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dataDir, "data-dir", defaultDataDir, "data directory of the standalone")
	flags.StringSliceVar(&grant.Tenants, "tenant", nil, "UUID of the tenant the bearer acts for; repeatable")
	flags.StringVar(&grant.Subject, "subject", "", "name of the bearer")
	flags.StringSliceVar(&grant.Roles, "roles", nil,
		"VIEWER, DATA_ANALYST, DATA_ENGINEER, DATA_STEWARD, OPERATOR, ADMIN")
	flags.StringSliceVar(&grant.Groups, "groups", nil, "groups of the bearer")
	flags.StringVar(&grant.Audience, "audience", "pipeline-service", "one of the standalone's --audience")
	flags.DurationVar(&grant.TTL, "ttl", time.Hour, "how long the token holds")
	return cmd
}

// issue checks a grant and signs it. Mistakes are told all at once.
func issue(dataDir string, grant signer.Grant) (string, error) {
	var errs []error
	if len(grant.Tenants) == 0 {
		errs = append(errs, errors.New("--tenant: give the UUID of a tenant"))
	}
	for i, text := range grant.Tenants {
		tenant, err := models.ParseTenantID(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--tenant: %q is not a UUID such as 11111111-2222-4333-8444-555555555555", text))
		}
		grant.Tenants[i] = string(tenant)
	}
	if grant.Subject == "" {
		errs = append(errs, errors.New("--subject: give the name of the bearer"))
	}
	for _, role := range grant.Roles {
		if _, ok := auth.Roles[auth.Role(role)]; !ok {
			errs = append(errs, fmt.Errorf("--roles: %q is not a role", role))
		}
	}
	if grant.TTL <= 0 {
		errs = append(errs, fmt.Errorf("--ttl: %s is not a positive duration", grant.TTL))
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	own, err := signer.Open(dataDir)
	if errors.Is(err, signer.ErrNoKey) {
		return "", fmt.Errorf("%w: start standalone on it first", err)
	}
	if err != nil {
		return "", err
	}
	return own.Sign(grant, time.Now())
}
