package user

import "carillon/model"

// CheckIdentify lists what is wrong with an identification as far as that can
// be seen without knowing the user; the paths are those of Identify.
func (s *Service) CheckIdentify(in model.IdentifyInput) []model.Problem {
	_, problems := newChange(in)
	return problems
}
