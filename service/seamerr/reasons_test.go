package seamerr_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestReasons fails when an error of the service, or of its sandbox, has a reason that is not in the list from which
// the packages of the stubs have their constants.
func TestReasons(t *testing.T) {
	list, err := os.ReadFile("../../tools/constants/reasons.txt")
	if err != nil {
		t.Fatal(err)
	}
	for constructor, folder := range map[string]string{
		"serviceError": ".", "seamStyleError": ".", "newError": "../sandbox",
	} {
		types := errorTypes(t, folder, constructor)
		if len(types) < 5 {
			t.Errorf("only %d types by %s", len(types), constructor)
		}
		for _, name := range types {
			if !strings.Contains(string(list), "\n"+strings.ToUpper(name)+": ") {
				t.Errorf("%s, of %s, is not in the list", name, constructor)
			}
		}
	}
}

// errorTypes returns the second argument of each call of a function in the files of a folder.
func errorTypes(t *testing.T, folder, function string) (types []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), folder+"/"+entry.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			called, ok := node.(*ast.CallExpr)
			if !ok || len(called.Args) < 2 {
				return true
			}
			name, isName := called.Fun.(*ast.Ident)
			argument, isText := called.Args[1].(*ast.BasicLit)
			if isName && name.Name == function && isText {
				text, _ := strconv.Unquote(argument.Value)
				types = append(types, text)
			}
			return true
		})
	}
	return types
}
