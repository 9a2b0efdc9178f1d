package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// NewUndeclared makes an API with one more operation that declares no security.
func NewUndeclared(c Config) (http.Handler, error) {
	s, err := newService(c, func(s *service) {
		register(s, operation{
			Operation: huma.Operation{OperationID: "forgotten", Method: http.MethodGet, Path: "/v1/forgotten"},
		}, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
	})
	if err != nil {
		return nil, err
	}
	return s.router, nil
}

// NewBare makes an API with one more operation that was not even registered as ours.
func NewBare(c Config) (http.Handler, error) {
	s, err := newService(c, func(s *service) {
		huma.Get(s.huma, "/v1/bare", func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
	})
	if err != nil {
		return nil, err
	}
	return s.router, nil
}

// NewPanicking makes an API with an operation that panics.
func NewPanicking(c Config) (http.Handler, error) {
	s, err := newService(c, func(s *service) {
		s.public("/panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret detail") }))
	})
	if err != nil {
		return nil, err
	}
	return s.router, nil
}
