// Command keyring says what a kubelet's own code makes of pull Secrets: a JSON object with type, data and images in, one
// with the error or the logins by image out. `python -m tests.model.kubelet_answers` asks it; nothing else needs it.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
)

type question struct {
	Type   v1.SecretType     `json:"type"`
	Data   map[string][]byte `json:"data"`
	Images []string          `json:"images"` // in full, without tag and digest
}

type answer struct {
	Error string       `json:"error"`
	Found [][][]string `json:"found"` // by image: user name, password and email of each login, in order
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var asked question
		if err := in.Decode(&asked); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		if err := out.Encode(lookUp(asked)); err != nil {
			log.Fatal(err)
		}
	}
}

func lookUp(asked question) answer {
	secret := v1.Secret{Type: asked.Type, Data: asked.Data}
	keyring, err := secrets.MakeDockerKeyring([]v1.Secret{secret}, &credentialprovider.BasicDockerKeyring{})
	if err != nil {
		return answer{Error: err.Error()}
	}
	found := answer{}
	for _, image := range asked.Images {
		logins, _ := keyring.Lookup(image)
		told := [][]string{}
		for _, login := range logins {
			told = append(told, []string{login.Username, login.Password, login.Email})
		}
		found.Found = append(found.Found, told)
	}
	return found
}
