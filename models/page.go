package models

// Page asks for one page of a list, newest first.
type Page struct {
	Number int // from 0
	Size   int // 1 to 200
}

// Paged is one page and how many items the whole list has.
type Paged[T any] struct {
	Items []T
	Total int64
}
