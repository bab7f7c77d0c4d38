package engagespot

import (
	"net/http"

	"carillon/model"
	"carillon/rest"
)

// categories lists the categories of the environment.
func (a *API) categories(r *http.Request) (int, any, error) {
	list, err := a.Catalog.Categories(r.Context(), caller(r.Context()).Env.ID)
	return http.StatusOK, newCategories(list), err
}

// createCategory makes a category, or answers with the one that has the
// identifier already.
func (a *API) createCategory(r *http.Request) (int, any, error) {
	ctx, c := r.Context(), caller(r.Context())
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("identifier", "name")
	category := model.Category{
		Identifier: in.Text("identifier"), Name: in.Text("name"), DefaultEnabled: true,
		HideInInbox: in.Bool("hideInInApp"), HideInPrefs: in.Bool("hideInPreferenceManager"),
	}
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	once, err := rest.Once(r, c, "createCategory", body)
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Catalog.Create(ctx, c.Env.ID, once, category)
	if model.KindOf(err) == model.KindConflict {
		there, err := a.Catalog.Find(ctx, c.Env.ID, category.Identifier)
		return http.StatusOK, newCategory(there), err
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, newCategory(out.Value), nil
}

// deleteCategory deletes a category; its notifications stay.
func (a *API) deleteCategory(r *http.Request) (int, any, error) {
	ctx, c := r.Context(), caller(r.Context())
	id, ok := rest.ParseID(r.PathValue("id"))
	if !ok {
		return 0, nil, badID("category")
	}
	once, err := rest.Once(r, c, "deleteCategory", nil)
	if err != nil {
		return 0, nil, err
	}
	if _, err := a.Catalog.DeleteByID(ctx, c.Env.ID, once, model.CategoryID(id)); err != nil {
		return 0, nil, otherwise(err, noCategory())
	}
	return http.StatusOK, said("the category was deleted"), nil
}

func noCategory() error { return model.Errorf(model.KindNotFound, "there is no such category") }
